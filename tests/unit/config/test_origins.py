"""Where an option was set decides whether the user asked for it, what its paths are relative to, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError, about
from pytest_qeval.fixtures import CONTEXT

Configure = Callable[..., pytest.Config]

DEMO = ("--qeval-model", "demo")
GATE = "pass@1 >= 0.25"
TYPED: dict[str, Sequence[str]] = {
    "option": ("--qeval-gate", GATE),
    "file of options": ("@gate.txt",),
    "file that names another": ("@nested.txt",),
    "-o": ("-o", f"qeval_gate={GATE}"),
    "-o in one word": (f"-oqeval_gate={GATE}",),
    "-o among others": ("-vo", f"qeval_gate={GATE}"),
    "--override-ini": ("--override-ini", f"qeval_gate={GATE}"),
    "--override-ini in one word": (f"--override-ini=qeval_gate={GATE}",),
    "-o in a file of options": ("@override.txt",),
}


@pytest.fixture(autouse=True)
def files(pytester: pytest.Pytester) -> None:
    """Write files of options."""
    pytester.path.joinpath("gate.txt").write_text(f"--qeval-gate\n{GATE}\n", encoding="utf-8")
    pytester.path.joinpath("nested.txt").write_text("@gate.txt\n", encoding="utf-8")
    pytester.path.joinpath("override.txt").write_text(f"--override-ini=qeval_gate={GATE}\n", encoding="utf-8")


def refusal_of(configure: Configure, *arguments: str) -> str:
    """Return the sentence that these arguments are refused with."""
    with pytest.raises(pytest.UsageError) as refused:
        configure(*arguments)
    return str(refused.value)


@pytest.mark.parametrize("arguments", TYPED.values(), ids=TYPED)
def test_what_was_typed_is_asked_for(configure: Configure, arguments: Sequence[str]) -> None:
    """However it was typed: without a model nobody would judge the gate."""
    assert refusal_of(configure, *arguments).startswith("--qeval-gate without a model does nothing: ")


@pytest.mark.parametrize("arguments", [("--qeval-model=",), ("-o", "qeval_model=")])
def test_an_empty_model_is_told_as_such(configure: Configure, arguments: Sequence[str]) -> None:
    assert refusal_of(configure, *arguments).startswith("--qeval-model is empty, perhaps from a variable")


@pytest.mark.parametrize("added", ["--qeval-strict", "-o qeval_strict=true"])
def test_what_is_added_is_not_asked_for(
    configure: Configure, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, added: str
) -> None:
    """`addopts` and the environment are for the sessions that have a model."""
    pytester.makeini(f"[pytest]\naddopts = {added}\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", added)
    config = configure()

    assert Values(config).flag("strict")
    assert Values(config).typed_options == []


BAD = "qeval_limit=none"
PLACES: dict[str, tuple[str, str, Sequence[str], str]] = {
    "typed": ("qeval_limit = none", "", ("--qeval-limit=none",), ""),
    "typed in a file": ("addopts = --qeval-limit=9", "", ("@limit.txt",), ""),
    "typed over addopts": ("addopts = --qeval-limit=9", "--qeval-limit=9", ("--qeval-limit=none",), ""),
    "-o": ("qeval_limit = 9", "", ("-o", BAD), " (qeval_limit is set by -o)"),
    "--override-ini": ("qeval_limit = 9", "", (f"--override-ini={BAD}",), " (qeval_limit is set by -o)"),
    "-o in the environment": ("", f"-o {BAD}", (), " (qeval_limit is set by PYTEST_ADDOPTS)"),
    "environment": ("", "--qeval-limit=none", (), " (--qeval-limit is set by PYTEST_ADDOPTS)"),
    "addopts": ("addopts = --qeval-limit=none", "", (), " (--qeval-limit is set by addopts in */tox.ini)"),
    "-o addopts": ("", "", ("-o", "addopts=--qeval-limit=none"), " (--qeval-limit is set by -o addopts)"),
    "environment over addopts": (
        "addopts = --qeval-limit=9",
        "--qeval-limit=none",
        (),
        " (--qeval-limit is set by PYTEST_ADDOPTS)",
    ),
    "ini file": ("qeval_limit = none", "", (), " (qeval_limit is set in */tox.ini)"),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_refusal_tells_where_an_option_is_set(
    configure: Configure,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, str, Sequence[str], str],
) -> None:
    """What was typed is known; of several places the one whose value counts is named."""
    ini, environment, typed, origin = place
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.path.joinpath("limit.txt").write_text("--qeval-limit=none", encoding="utf-8")
    monkeypatch.setenv("PYTEST_ADDOPTS", environment)

    assert fnmatch(refusal_of(configure, *DEMO, *typed), f"--qeval-limit expects *, not 'none'.{origin}")


def test_a_list_may_be_set_in_several_places(configure: Configure, pytester: pytest.Pytester) -> None:
    """Whichever of its values is refused."""
    pytester.makeini("[pytest]\naddopts = --qeval-gate=nonsense\n")

    assert fnmatch(
        refusal_of(configure, *DEMO, "--qeval-gate", GATE),
        "cannot read the gate 'nonsense'*(--qeval-gate is set by addopts in */tox.ini)",
    )


@pytest.mark.parametrize(
    ("ini", "typed"),
    [
        ("qeval_baseline = int8", ("--qeval-recipe=itn8",)),
        ("qeval_suite = micro\nqeval_benchmark = micro", ("--qeval-gate=micrp:pass@1 >= 0.1",)),
    ],
    ids=["among those available", "in a suggestion"],
)
def test_a_value_that_a_refusal_merely_mentions_is_not_to_blame(
    configure: Configure, pytester: pytest.Pytester, ini: str, typed: Sequence[str]
) -> None:
    """A list of available names holds what other options were given."""
    pytester.makeini(f"[pytest]\n{ini}\n")

    assert "is set" not in refusal_of(configure, *DEMO, *typed)


@pytest.mark.parametrize(
    ("line", "more", "sentence"),
    [
        ("qeval_recipe = itn8", (), "there is no recipe 'itn8'*"),
        ("qeval_recipe = as-is", (), "demo is stored in floating point*"),
        ("qeval_baseline = fp23", (), "*no recipe 'fp23'*"),
        ("qeval_baseline = gone.json.gz", ("--qeval-recipe=int8",), "*gone.json.gz cannot be read*"),
        ("qeval_suite = nix", (), "there is no suite 'nix'*"),
        ("qeval_benchmark = nix", (), "there is no benchmark 'nix'*"),
        ("qeval_engine = nix", (), "there is no engine 'nix'*"),
        ("qeval_perturbation = nix", ("--qeval-suite=robustness",), "there is no perturbation 'nix'*"),
        ("qeval_gate = x", (), "cannot read the gate 'x'*"),
        ("qeval_gate = kl <= 0.1", ("--qeval-recipe=int8", "--qeval-suite=micro"), "the gate 'kl <= 0.1' needs*"),
        ("qeval_calibration = gone.jsonl", ("--qeval-recipe=w8a8-static-mse",), "cannot read calibration texts*"),
        ("qeval_save_baseline = /proc/b.json.gz", ("--qeval-recipe=int8",), "the baseline cannot be written*"),
    ],
    ids=lambda one: one.partition(" =")[0] if isinstance(one, str) else "",
)
def test_an_option_that_its_refusal_does_not_name_is_known(
    configure: Configure, pytester: pytest.Pytester, line: str, more: Sequence[str], sentence: str
) -> None:
    pytester.makeini(f"[pytest]\n{line}\n")
    key = line.partition(" =")[0]

    assert fnmatch(refusal_of(configure, *DEMO, *more), f"{sentence}({key} is set in */tox.ini)")


def test_a_model_is_known_as_well(configure: Configure, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nqeval_model = ./gone\n")

    assert fnmatch(refusal_of(configure), "*gone*(qeval_model is set in */tox.ini)")


def test_the_innermost_option_counts() -> None:
    with pytest.raises(UsageError) as refused, about("baseline"), about("recipe"):
        raise UsageError("no")

    assert refused.value.option == "recipe"


def test_an_option_that_is_not_set_has_no_origin(configure: Configure) -> None:
    """Such as one that the refusal advises."""
    assert with_origin(UsageError("add --qeval-recipe int8."), configure()) == "add --qeval-recipe int8."


@pytest.mark.parametrize(
    "arguments", [("--qeval-gate=ours.toml",), ("-o", "qeval_gate=ours.toml"), ("--override-ini=qeval_gate=ours.toml",)]
)
def test_a_typed_path_is_relative_to_where_it_was_typed(
    configure: Configure, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]
) -> None:
    """Only what the ini file says is relative to the ini file."""
    pytester.makeini("[pytest]\n")
    inner = pytester.mkdir("inner")
    inner.joinpath("ours.toml").write_text(f"[[gate]]\nexpression = '{GATE}'\n", encoding="utf-8")
    monkeypatch.chdir(inner)

    (gate,) = configure(*DEMO, *arguments).stash[CONTEXT].settings.gates
    assert gate.expression == GATE


def test_a_path_of_the_ini_file_is_relative_to_it(
    configure: Configure, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\nqeval_data = data\n")
    pytester.mkdir("data")
    monkeypatch.chdir(pytester.mkdir("inner"))

    assert configure(*DEMO).stash[CONTEXT].settings.data == pytester.path / "data"


@pytest.mark.parametrize("option", ["recipe", "gate", "suite", "benchmark", "perturbation"])
def test_an_empty_item_of_a_list_is_refused_by_name(
    configure: Configure, pytester: pytest.Pytester, option: str
) -> None:
    """On the command line it comes from a variable that is not set."""
    sentence = f"--qeval-{option} has an empty value, perhaps from a variable that is not set: leave it out."
    assert refusal_of(configure, *DEMO, f"--qeval-{option}=") == sentence

    path: Path = pytester.makepyprojecttoml(f'[tool.pytest.ini_options]\nqeval_{option} = ["x", ""]\n')
    assert refusal_of(configure, *DEMO) == f"{sentence} (qeval_{option} is set in {path})"
