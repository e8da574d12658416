"""Recipe files: what is read, and what is refused with file name and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.grammar import parse_recipe
from pytest_qeval.quantize.recipe import ActivationScheme, CalibrationPlan, LayerRule, Recipe, WeightScheme
from pytest_qeval.quantize.recipe_file import read_recipe_file

Read = Callable[[str], Recipe]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read a text as the file `mixed.toml` of the current folder."""
    monkeypatch.chdir(tmp_path)

    def read_text(text: str) -> Recipe:
        Path("mixed.toml").write_text(text, encoding="utf-8")
        return read_recipe_file("mixed.toml")

    return read_text


def test_everything_that_can_be_said(read: Read) -> None:
    """One file with every key becomes one value."""
    recipe = read("""
        scheme = "w8a8-static-mse"
        name = "first"
        summary = "first try"
        kept = ["lm_head", "*.0.*"]

        [calibration]
        samples = 64
        characters = 256
        new_tokens = 16

        [[layers]]
        pattern = "*.down_proj"
        scheme = "w4a16-g128"

        [[layers]]
        pattern = "*.k_proj"
        scheme = "kept"
    """)

    assert recipe == Recipe(
        name="first",
        summary="first try",
        weights=WeightScheme(bits=8),
        activations=ActivationScheme(granularity="per_tensor", dynamic=False, clip="mse"),
        kept=("lm_head", "*.0.*", "*.k_proj"),
        rules=(
            LayerRule(pattern="*.down_proj", weights=WeightScheme(bits=4, granularity="per_group", group_size=128)),
        ),
        calibration=CalibrationPlan(samples=64, characters=256, new_tokens=16),
    )


def test_a_scheme_alone_is_the_scheme_under_the_file_s_name(read: Read) -> None:
    """Everything else has a default."""
    recipe, scheme = read('scheme = "w4a16-g128+lm_head"'), parse_recipe("w4a16-g128+lm_head")

    assert (recipe.name, recipe.summary) == ("mixed", scheme.summary)
    assert (recipe.weights, recipe.kept) == (scheme.weights, ())


def test_layers_alone_leave_the_others_in_floating_point(read: Read) -> None:
    """Without a scheme at the top, only what a pattern matches is quantized."""
    recipe = read('[[layers]]\npattern = "*.mlp.*"\nscheme = "w8a8-static"')

    assert recipe.weights is None
    assert [rule.pattern for rule in recipe.rules] == ["*.mlp.*"]
    assert recipe.calibration == CalibrationPlan()
    assert recipe.summary.startswith("only some layers quantized")


def test_rules_keep_their_order(read: Read) -> None:
    """The first that matches counts."""
    recipe = read('[[layers]]\npattern = "a"\nscheme = "w8a8"\n[[layers]]\npattern = "*"\nscheme = "w4a16"')

    assert [rule.pattern for rule in recipe.rules] == ["a", "*"]


def test_the_calibration_of_the_scheme_is_completed_by_the_table(read: Read) -> None:
    """What the table does not say is the scheme's."""
    recipe = read('scheme = "w8a8-static-n64"\n[calibration]\nnew_tokens = 8')

    assert recipe.calibration == CalibrationPlan(samples=64, new_tokens=8)


LAYER = '[[layers]]\npattern = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " quantizes nothing: give a 'scheme', or [[layers]] with one."),
        (LAYER + 'scheme = "kept"', " quantizes nothing: give a 'scheme', or [[layers]] with one."),
        (
            'schema = "w8a8"',
            (
                ": the key 'schema' is unknown. Did you mean 'scheme'? "
                "Possible: scheme, name, summary, kept, calibration, layers."
            ),
        ),
        ("zzz = 1", ": the key 'zzz' is unknown. Possible: scheme, name, summary, kept, calibration, layers."),
        ("scheme = 8", ": the key 'scheme' is 8; give one line of text."),
        ('scheme = ""', ": the key 'scheme' is ''; give one line of text."),
        ('scheme = "w8a8"\nname = "a\\nb"', ": the key 'name' is 'a\\nb'; give one line of text."),
        ('scheme = "w8a8"\nsummary = " "', ": the key 'summary' is ' '; give one line of text."),
        (
            'scheme = "w9a8"',
            ": the key 'scheme' cannot be read: recipe 'w9a8': weights of 9 bits: 2 to 8 are possible.",
        ),
        ('scheme = "w8a8"\nkept = 7', ": the key 'kept' is 7; give one line of text, or a list of such."),
        ('scheme = "w8a8"\nkept = [1]', ": the key 'kept' is a list; give one line of text, or a list of such."),
        (
            'scheme = "w8a8+lm_head"\nkept = []',
            ": 'kept' and '+lm_head' both say which layers are kept; leave one out.",
        ),
        ('scheme = "w8a8"\nlayers = 3', ": the key 'layers' is 3; give tables, each under [[layers]]."),
        ('scheme = "w8a8"\nlayers = [3]', ": the key 'layers' is a list; give tables, each under [[layers]]."),
        (
            '[layers]\npattern = "a"',
            ": the key 'layers' is a table; give tables, each under [[layers]].",
        ),
        (LAYER, ", [[layers]] number 1: the key 'scheme' is missing."),
        (
            LAYER + 'scheme = "w8a8"\n[[layers]]\nscheme = "kept"',
            ", [[layers]] number 2: the key 'pattern' is missing.",
        ),
        (
            '[[layers]]\npatern = "a"\nscheme = "w8a8"',
            ", [[layers]] number 1: the key 'patern' is unknown. Did you mean 'pattern'? Possible: pattern, scheme.",
        ),
        (
            '[[layers]]\npattern = 1\nscheme = "w8a8"',
            ", [[layers]] number 1: the key 'pattern' is 1; give one line of text.",
        ),
        (
            LAYER + 'scheme = "w8a3"',
            (
                ", [[layers]] number 1: the key 'scheme' cannot be read: recipe 'w8a3': activations of 3 bits: "
                "4 to 8 are possible, or 16 for floating point."
            ),
        ),
        (
            LAYER + 'scheme = "w8a8+lm_head"',
            (
                ", [[layers]] number 1: the key 'scheme' says something about the whole model, 'w8a8+lm_head': "
                "write the number of texts under [calibration], and '+lm_head' behind the scheme at the top."
            ),
        ),
        (
            LAYER + 'scheme = "w8a8-static-n9"',
            (
                ", [[layers]] number 1: the key 'scheme' says something about the whole model, 'w8a8-static-n9': "
                "write the number of texts under [calibration], and '+lm_head' behind the scheme at the top."
            ),
        ),
        ('calibration = 3\nscheme = "w8a8-static"', ": the key 'calibration' is 3; give a table, [calibration]."),
        (
            'scheme = "w8a8-static"\n[calibration]\nsample = 3',
            (
                ", [calibration]: the key 'sample' is unknown. Did you mean 'samples'? "
                "Possible: samples, characters, new_tokens."
            ),
        ),
        (
            'scheme = "w8a8-static"\n[calibration]\nsamples = 0',
            ", [calibration]: the key 'samples' is 0; give a whole number above 0.",
        ),
        (
            'scheme = "w8a8-static"\n[calibration]\nsamples = true',
            ", [calibration]: the key 'samples' is true or false; give a whole number above 0.",
        ),
        (
            'scheme = "w8a8"\n[calibration]\nsamples = 3',
            ": [calibration] is for static activations, and no scheme has any.",
        ),
        (
            'scheme = "w8a8-static-n64"\n[calibration]\nsamples = 32',
            ": 'w8a8-static-n64' and [calibration] give two numbers of samples; leave one out.",
        ),
    ],
)
def test_every_mistake_is_found_in_its_file_under_its_key(read: Read, text: str, message: str) -> None:
    """What was found, what was expected, and what comes nearest."""
    with pytest.raises(RecipeError) as caught:
        read(text)

    assert str(caught.value) == f"recipe file 'mixed.toml'{message}"


def test_a_number_may_be_said_twice_when_it_is_the_same(read: Read) -> None:
    """Only a contradiction is one."""
    assert read('scheme = "w8a8-static-n64"\n[calibration]\nsamples = 64').calibration == CalibrationPlan(samples=64)


def test_broken_toml_is_shown_with_its_line(read: Read) -> None:
    """As the parser counts it."""
    with pytest.raises(RecipeError, match=r"recipe file 'mixed\.toml' is no valid TOML: .*line 2"):
        read('name = "x"\nscheme = w8a8\n')


def test_a_number_too_long_for_python_is_broken_toml(read: Read) -> None:
    """Not a traceback."""
    with pytest.raises(RecipeError, match=r"recipe file 'mixed\.toml' is no valid TOML: "):
        read(f"[calibration]\nsamples = {'9' * 5000}")


def test_another_encoding_is_shown_with_the_byte(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "latin.toml"
    path.write_bytes('summary = "für"'.encode("latin-1"))

    with pytest.raises(RecipeError, match=r"latin\.toml' is not UTF-8: byte 13\. Save it as UTF-8\."):
        read_recipe_file(path)


@pytest.mark.parametrize(("name", "reason"), [("none.toml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path, name: str, reason: str) -> None:
    """In the words of the operating system."""
    with pytest.raises(RecipeError, match=f"cannot be opened: {reason}"):
        read_recipe_file(tmp_path / name)
