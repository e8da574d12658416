"""Which recipes the user asks for, and what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pytest_qeval.config.baseline_name import is_recipe, saved_baseline, saved_beside
from pytest_qeval.config.servers import Servers, loads_model
from pytest_qeval.config.values import Values
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import UnknownNameError, UsageError, about
from pytest_qeval.quantize.grammar import expand_braces
from pytest_qeval.quantize.lookup import find_recipe, is_as_is, split_cache
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.settings import file_stem

_RESERVED = ("auto", "as-is", "original", "control")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChoice:
    """Candidates and their baseline."""

    candidates: tuple[str, ...]
    baseline: str | None = None
    recipes: dict[str, Recipe] = field(default_factory=dict)
    """By name, the baseline's included."""
    original: str | None = None
    """The model that `--qeval-baseline` names, if it names one."""
    baseline_file: Path | None = None
    baseline_cached: bool = False
    control: bool = False
    served: frozenset[str] = frozenset()
    """Recipes that stand for what servers have loaded."""

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the fields that `RunSettings` has as well."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in {"original", "served"}}

    @property
    def own(self) -> tuple[str, ...]:
        """Recipes whose model is loaded by this program."""
        names = (*([self.baseline] if self.baseline else []), *self.candidates)
        return tuple(name for name in names if name not in self.served)


def read_recipes(values: Values, servers: Servers | None = None) -> RecipeChoice:
    """Find every recipe, and what the candidates are compared with; servers are recipes as well.

    Raises:
        UsageError: for an unknown recipe, two recipes of one name, or options that exclude each other.
    """
    found = _named(values) if not servers or loads_model(values) else _Recipes()
    saved = None if servers and servers.baseline else saved_baseline(values)
    served = servers.recipes if servers else {}
    if servers and saved and found.recipes and not values.texts("recipe"):
        raise UsageError(
            "--qeval-model has nothing to do beside servers and a saved baseline: leave it out, or add --qeval-recipe."
        )
    candidates = (*found.recipes, *(servers.candidates if servers else ()))
    recipes = {**found.recipes, **served}
    if saved:
        return RecipeChoice(candidates=candidates, recipes=recipes, baseline_file=saved, served=frozenset(served))
    if servers and (servers.baseline or not found.recipes):
        return _against_server(values, servers, found)
    baseline, original = _baseline(values, found)
    if (
        not served
        and set(found.recipes) == {baseline}
        and values.typed("baseline")
        and values.text("baseline") not in {"auto", "run"}
    ):
        raise UsageError(
            f"--qeval-baseline {baseline} is the only recipe of this run, which cannot be compared with itself: add "
            "--qeval-recipe for another one, or leave --qeval-baseline out."
        )
    recipes = {**found.recipes, **served}
    others = tuple(name for name in recipes if name != baseline)
    if baseline is None and len(recipes) > 1 and values.text("save-baseline"):
        raise UsageError("--qeval-save-baseline: this run has several recipes and no baseline; leave one recipe.")
    # A recipe that could only be compared with itself is evaluated on its own.
    compared = bool(others) and baseline is not None
    if values.flag("control") and not compared:
        raise UsageError("--qeval-control runs the baseline a second time, but this run has none: add --qeval-recipe.")
    return RecipeChoice(
        candidates=others if compared else tuple(recipes),
        baseline=baseline if compared else None,
        recipes=recipes,
        original=original,
        served=frozenset(served),
        baseline_cached=compared and (values.text("baseline") or "auto") == "auto",
        control=values.flag("control"),
    )


def _against_server(values: Values, servers: Servers, found: _Recipes) -> RecipeChoice:
    """Compare with a server, or with nothing where there is no model to make a baseline of."""
    text = values.text("baseline") or "auto"
    if not servers.baseline and text not in {"auto", "none"}:
        raise UsageError(
            f"--qeval-baseline {text} needs a model in this process: name it by --qeval-model, or name a server "
            "(--qeval-baseline URL) or a saved baseline (*.json.gz)."
        )
    if values.flag("baseline-force"):
        raise UsageError("--qeval-baseline-force is about a saved baseline: name one by --qeval-baseline FILE.json.gz.")
    baseline = next(iter(servers.baseline), None)
    candidates = (*found.recipes, *servers.candidates)
    if not candidates:
        raise UsageError("--qeval-baseline names a server, and there is nothing to compare it with: add a candidate.")
    if baseline is None and len(candidates) > 1 and values.text("save-baseline"):
        raise UsageError("--qeval-save-baseline: this run has several candidates and no baseline; leave one of them.")
    if values.flag("control") and baseline is None:
        raise UsageError("--qeval-control runs the baseline a second time, and this run has none: name a server.")
    return RecipeChoice(
        candidates=candidates,
        baseline=baseline,
        recipes={**found.recipes, **servers.recipes},
        control=values.flag("control"),
        served=frozenset(servers.sources),
    )


def named_recipes(values: Values) -> Mapping[str, Recipe]:
    """Return the recipes that `--qeval-recipe` names, by their names; without any, the checkpoint as it is.

    Raises:
        UsageError: for an unknown recipe, or two recipes of one name.
    """
    return _named(values).recipes


def _named(values: Values) -> _Recipes:
    found = _Recipes()
    for text in [text for given in values.texts("recipe") for text in expand_braces(given)] or ["auto"]:
        with about("recipe"):
            found.add(_with_path(values, text))
    return found


def _with_path(values: Values, text: str, option: str = "recipe") -> str:
    """Return a recipe as it is written; of a file, the path. `+kv8` alone quantizes the cache of the model as it is."""
    text = f"auto{text}" if text.startswith("+kv") else text
    base, ending = split_cache(text)
    return f"{values.path(base, option)}{ending}" if base.endswith(".toml") else text


def settle_stored(choice: RecipeChoice, source: ModelSource) -> RecipeChoice:
    """Evaluate a checkpoint that is already quantized as it is, and refuse to quantize it again.

    Raises:
        UsageError: for a recipe that the checkpoint does not allow.
    """
    names = [*choice.candidates, *([choice.baseline] if choice.baseline else [])]
    if not source.stored:
        if asked := next(filter(is_as_is, names), None):
            with about("recipe" if asked in choice.candidates else "baseline"):
                raise UsageError(
                    f"{source.name} is stored in floating point, and {asked} is for checkpoints that are quantized: "
                    f"choose auto{split_cache(asked)[1]}."
                )
        return choice
    choice = _auto_as_is(choice)
    first = [choice.baseline] if choice.baseline else []
    others = [
        name for name in (*first, *choice.candidates) if not (is_as_is(name) or name in {"original", *choice.served})
    ]
    if others and source.stored != "gguf":  # whose blocks can be unpacked to floating point
        raise UsageError(
            f"{source.name} is already quantized ({source.stored}) and cannot be given the recipe {others[0]}. Leave "
            "--qeval-recipe out to evaluate it as it is, and name the model it was made from by --qeval-baseline to "
            "compare."
        )
    return choice


def _auto_as_is(choice: RecipeChoice) -> RecipeChoice:
    """Call `auto` what it is for a checkpoint that is quantized already: `as-is`, also behind a quantized cache."""
    if all(split_cache(name)[0] == "auto" for name in choice.candidates):
        names = tuple(f"as-is{split_cache(name)[1]}" for name in choice.candidates)
        choice = replace(choice, candidates=names, recipes={**choice.recipes, **{n: find_recipe(n) for n in names}})
    if choice.baseline != "auto" or not all(map(is_as_is, choice.candidates)):
        return choice
    if "as-is" not in choice.candidates:
        return replace(choice, baseline="as-is", recipes={**choice.recipes, "as-is": find_recipe("as-is")})
    others = tuple(name for name in choice.candidates if name != "as-is")
    if others:
        return replace(choice, candidates=others, baseline="as-is")
    return replace(choice, baseline=None, baseline_cached=False)  # it would be the very same model


class _Recipes:
    """Recipes by name; two of one name, or of one file name, are refused."""

    def __init__(self) -> None:
        self.recipes: dict[str, Recipe] = {}
        self._texts: dict[str, str] = {}

    def add(self, text: str) -> str:
        """Find a recipe and return its name."""
        recipe = find_recipe(text)
        name = recipe.name
        base, _ = split_cache(name)
        if base in {"original", "control"} or (base in _RESERVED and split_cache(text)[0] != base):
            raise UsageError(
                f"no recipe can be given the name {name!r}, which has a meaning of its own; to compare with another "
                "model, name that model: --qeval-baseline MODEL."
            )
        if split_cache(name)[1] and not recipe.cache:
            raise UsageError(
                f"{text} calls a recipe {name!r}, but its key/value cache is not quantized: choose another name, and "
                f"add {split_cache(name)[1]} behind the file's."
            )
        if len(name) > _LONGEST_NAME:
            raise UsageError(f"the recipe's name {name[:40]!r}… is longer than {_LONGEST_NAME} characters: shorten it.")
        for other, defined in self._texts.items():
            if (other == name and defined != text) or (other != name and file_stem(other) == file_stem(name)):
                raise UsageError(f"two recipes are called {name!r}: {defined} and {text}. Rename one of them.")
        self.recipes[name], self._texts[name] = recipe, text
        return name


@about("baseline")
def _baseline(values: Values, found: _Recipes) -> tuple[str | None, str | None]:
    """Return the baseline's recipe, and the model that it is applied to where that is another one."""
    text = values.text("baseline") or "auto"
    if text == "none":
        return None, None
    if text == "run":
        text = "auto"
    if split_cache(text)[0].endswith(".toml") or is_recipe(text):
        return found.add(_with_path(values, text, "baseline")), None
    if text == "demo" or "/" in text or Path(text).expanduser().exists():
        found.recipes["original"] = find_recipe("original")
        return "original", text
    try:
        return found.add(text), None
    except UnknownNameError as error:
        raise UnknownNameError(
            f"--qeval-baseline {text} names neither a recipe nor a model: {error}{saved_beside(values)}"
        ) from error
