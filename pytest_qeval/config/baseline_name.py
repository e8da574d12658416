"""What `--qeval-baseline` means by its spelling: a recipe, or a saved baseline."""

from __future__ import annotations

from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.config.values import Values
from pytest_qeval.errors import RecipeError, UsageError
from pytest_qeval.quantize.grammar import looks_like_scheme, parse_recipe
from pytest_qeval.quantize.lookup import split_cache
from pytest_qeval.verdict.baseline.file import is_baseline_file


def saved_baseline(values: Values) -> Path | None:
    """Return the saved baseline that is named, if one is; it is read later."""
    text = values.text("baseline") or "auto"
    path = Path(values.path(text, "baseline"))
    if not is_recipe(text) and is_baseline_file(path):
        if values.flag("control"):
            raise UsageError(
                "--qeval-control runs the baseline twice, and a saved one is not run at all: name the recipe instead, "
                "as in --qeval-baseline run."
            )
        if values.text("save-baseline"):
            raise UsageError(
                "--qeval-save-baseline has nothing new to save where --qeval-baseline names a saved one: copy the file."
            )
        return path
    if text.endswith(".json"):
        raise UsageError(
            f"--qeval-baseline {text}: a saved baseline is a file that ends in .json.gz.{saved_beside(values)}"
        )
    if values.flag("baseline-force"):
        raise UsageError("--qeval-baseline-force is about a saved baseline: name one by --qeval-baseline FILE.json.gz.")
    return None


def saved_beside(values: Values) -> str:
    """Suggest, after a blank, the saved baseline whose name lacks its ending; empty where there is none."""
    text = values.text("baseline") or ""
    names = (f"{text}{ending}" for ending in (".gz", ".json.gz"))
    near = next((name for name in names if Path(values.path(name, "baseline")).is_file()), None)
    return f" Did you mean {near}?" if near else ""


def is_recipe(text: str) -> bool:
    """Return whether a baseline is a recipe by its spelling, whatever files there are: `./int8` names the folder.

    `--qeval-export .` makes folders that are called like recipes.
    """
    if text in {"none", "run"}:
        return True
    base, _ = split_cache(text)
    if base in registry.names("recipes"):
        return True
    try:
        return looks_like_scheme(base) and bool(parse_recipe(base))
    except RecipeError:
        return False
