"""What `--qeval-recipe` may stand for, and which meaning comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval import registry
from pytest_qeval.errors import RecipeError, UnknownNameError
from pytest_qeval.quantize.builtin import INT4, RECIPES
from pytest_qeval.quantize.lookup import find_recipe, is_as_is, split_cache
from pytest_qeval.quantize.quantization import LayerRecord, Quantizer
from pytest_qeval.quantize.recipe import CacheScheme, Recipe


def _recipe(config: str) -> Recipe:
    return Recipe(name=f"fake:{config}", summary=config, quantizer="fake", config=config)


def _never(*_: object) -> list[LayerRecord]:
    raise AssertionError


FAKE = Quantizer(name="fake", summary="for tests", recipe=_recipe, apply=_never)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put one object into the registry, beside what is installed."""
    load, names = registry.load, registry.names

    def put(kind: registry.Kind, name: str, value: object) -> None:
        monkeypatch.setattr(registry, "load", lambda k, n: value if (k, n) == (kind, name) else load(k, n))
        monkeypatch.setattr(registry, "names", lambda k: [*names(k), *([name] if k == kind else [])])

    return put


@pytest.mark.parametrize("name", RECIPES)
def test_every_built_in_recipe_is_registered(name: str) -> None:
    """The entry point leads to the very value."""
    assert find_recipe(name) is RECIPES[name]


def test_nothing_of_ours_is_registered_that_is_not_listed() -> None:
    """The mapping and the entry points name the same recipes."""
    assert sorted(RECIPES) == registry.names("recipes")


def test_a_scheme_needs_no_registration() -> None:
    """Whatever the grammar reads is a recipe."""
    recipe = find_recipe("w4a16-g128")

    assert (recipe.name, recipe.weights) == ("w4a16-g128", INT4.weights)


@pytest.mark.parametrize(("name", "part"), [("w8a8-statik", "'statik' is no part"), ("W8A8", "lower case: 'w8a8'")])
def test_a_scheme_with_a_mistake_is_told_so_and_not_that_it_is_unknown(name: str, part: str) -> None:
    """The first two characters show what was meant."""
    with pytest.raises(RecipeError, match=part):
        find_recipe(name)


def test_a_registered_name_wins_over_the_grammar(register: Callable[..., None]) -> None:
    """A package may call its recipe as it likes."""
    mine = Recipe(name="w8-mine", summary="mine")
    register("recipes", "w8-mine", mine)

    assert find_recipe("w8-mine") is mine


def test_a_file_is_a_recipe(tmp_path: Path) -> None:
    """Told by the end of its name."""
    path = tmp_path / "mine.toml"
    path.write_text('scheme = "w4a16-g128"', encoding="utf-8")

    recipe = find_recipe(str(path))

    assert (recipe.name, recipe.weights) == ("mine", INT4.weights)


def test_a_file_that_is_not_there_is_missed_as_a_file() -> None:
    """Nobody looks for it among the names."""
    with pytest.raises(RecipeError, match=r"recipe file 'none\.toml' cannot be opened"):
        find_recipe("none.toml")


def test_a_quantizer_is_handed_what_stands_behind_the_first_colon(register: Callable[..., None]) -> None:
    """Whatever it is; the quantizer reads it."""
    register("quantizers", "fake", FAKE)

    assert find_recipe("fake:Some(x=1:2)") == _recipe("Some(x=1:2)")


def test_an_unknown_quantizer_gets_a_suggestion() -> None:
    """As every unknown name."""
    with pytest.raises(UnknownNameError, match=r"there is no quantizer 'torchoa'\. Did you mean 'torchao'"):
        find_recipe("torchoa:Int8WeightOnlyConfig")


def test_an_unknown_name_is_told_what_else_may_be_written() -> None:
    """The nearest names, all names, and the forms that have none."""
    with pytest.raises(UnknownNameError) as caught:
        find_recipe("int9")

    message = str(caught.value)
    assert message.startswith("there is no recipe 'int9'. Did you mean 'int8' or 'int4'? Available: as-is, auto, ")
    assert message.endswith(
        " Schemes such as 'w4a16-g128', configurations of other packages such as 'torchao:Int8WeightOnlyConfig', and "
        "recipe files (*.toml) work too, and any recipe may end in +kv8 or +kv4."
    )


@pytest.mark.parametrize("base", ["auto", "as-is", "int8", "w4a16-g128", "w8a8+lm_head"])
@pytest.mark.parametrize("bits", [8, 4])
def test_any_recipe_may_end_in_a_quantized_cache(base: str, bits: int) -> None:
    """It is the recipe in everything else."""
    found, plain = find_recipe(f"{base}+kv{bits}"), find_recipe(base)
    summary = f"{plain.summary}; {bits}-bit key/value cache per token and head"
    assert found == replace(plain, name=f"{base}+kv{bits}", summary=summary, cache=CacheScheme(bits=bits))
    assert (split_cache(found.name), is_as_is(found.name)) == ((base, f"+kv{bits}"), base == "as-is")


def test_another_packages_recipe_and_a_file_may_as_well(tmp_path: Path, register: Callable[..., None]) -> None:
    """The ending is behind the configuration, and behind the file's ending."""
    register("quantizers", "fake", FAKE)
    assert find_recipe("fake:Int8+kv4").config == "Int8"
    (tmp_path / "mixed.toml").write_text('scheme = "w4a16"\n', encoding="utf-8")
    found = find_recipe(f"{tmp_path / 'mixed.toml'}+kv8")
    assert (found.name, found.scheme) == ("mixed+kv8", "W4A16 KV8")


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("auto+kv8", "KV8"), ("bf16+kv4", "W16A16 KV4"), ("int8+kv8", "W8A8 KV8"), ("study-dynamic+kv4", None)],
)
def test_the_scheme_has_the_bits_of_the_cache(name: str, scheme: str | None) -> None:
    """Behind those of the weights, or alone."""
    assert find_recipe(name).scheme == (scheme or "quantize_dynamic KV4")


@pytest.mark.parametrize("name", ["int8+kv6", "int8+kv", "int8+KV8", "int8+kv8+kv8", "auto+kv4+kv8"])
def test_other_endings_are_refused(name: str) -> None:
    """With those that there are."""
    with pytest.raises(RecipeError, match=r"expected \+kv8 or \+kv4 behind a recipe's name, and once\.$"):
        find_recipe(name)


def test_a_folder_may_be_called_like_an_ending() -> None:
    """Nothing but the end of the whole name counts."""
    assert split_cache("/a+kv8/b.toml") == ("/a+kv8/b.toml", "")
    assert split_cache("+kv8") == ("+kv8", "")
