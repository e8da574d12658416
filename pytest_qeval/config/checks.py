"""Which recipes a run can have, given the checkpoint and the calibration texts: settled before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.engines.base import EngineSource
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import DataError, GateError, UsageError
from pytest_qeval.plan import OF_DIVERGENCE
from pytest_qeval.quantize.corpus import CalibrationTexts, calibration_texts
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.overlap import find_overlap
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe
from pytest_qeval.settings import CalibrationSettings, Settings, file_stem
from pytest_qeval.verdict.gates.decider import is_decidable, needs_everything
from pytest_qeval.verdict.gates.grammar import Gate

__all__ = [
    "check_calibration",
    "check_divergence",
    "check_early_stop",
    "check_export",
    "check_overlap",
    "check_suites",
    "settle_recipes",
]


def settle_recipes(settings: Settings) -> Settings:
    """Let a checkpoint that is already quantized be evaluated as it is, and refuse to quantize it once more.

    Raises:
        UsageError: for a recipe that the checkpoint does not allow.
        ModelSourceError: when there is no such model.
    """
    if settings.replays:
        return settings
    source: EngineSource = registry.load("engines", settings.model.engine)
    stored = source.stored(settings.model)
    name = settings.model.name
    if not stored:
        if "as-is" in settings.all_recipes:
            raise UsageError(
                f"{name} is stored in floating point, and as-is is for checkpoints that are quantized: choose auto."
            )
        return settings
    if settings.recipes == ("auto",):
        settings = replace(settings, recipes=("as-is",))
    if settings.recipes == ("as-is",) and settings.baseline == "auto":
        settings = replace(settings, baseline=None)  # it would be the very same model
    others = [recipe for recipe in settings.all_recipes if recipe not in {"as-is", "original"}]
    if others and stored != "gguf":  # whose blocks can be unpacked to floating point
        raise UsageError(
            f"{name} is already quantized ({stored}) and cannot be given the recipe {others[0]}. Leave --qeval-recipe "
            "out to evaluate it as it is, and name the model it was made from by --qeval-baseline to compare."
        )
    return settings


def check_calibration(settings: Settings) -> list[str]:
    """Make sure that there are texts for every recipe that is calibrated; give what is worth a warning.

    Raises:
        DataError: when the texts cannot be had.
        UsageError: when a source is named and nothing is calibrated.
    """
    calibrated = _calibrated(settings)
    if settings.calibration != CalibrationSettings() and not calibrated:
        raise UsageError(
            "--qeval-calibration and --qeval-allow-overlap have nothing to calibrate: only static activations need it, "
            "as in --qeval-recipe w8a8-static-mse."
        )
    return [
        f"{recipe.name} is calibrated on a single text: its static scales are a guess."
        for recipe, texts in calibrated
        if len(texts.texts) == 1
    ]


def check_suites(settings: Settings) -> None:
    """Make sure that a run for sensitivity alone has a recipe whose sensitivity there is.

    Raises:
        UsageError: when it has none.
    """
    if settings.replays or settings.suites != ("sensitivity",):
        return
    recipes = [find_recipe(settings.definition_of(name)) for name in settings.run_recipes]
    if not any(recipe.quantizes and not recipe.quantizer for recipe in recipes):
        raise UsageError(
            "--qeval-suite sensitivity quantizes one block at a time and needs a recipe of this package's own schemes: "
            "add --qeval-recipe int8, or w4a16-g128."
        )


def check_early_stop(settings: Settings, gates: Sequence[Gate], *, distributed: bool) -> None:
    """Make sure that a run that is to end when it is decided can be decided.

    Raises:
        UsageError: when no gate can be decided early, one needs everything to be generated, or workers share the work.
    """
    if not settings.until_decided:
        return
    if distributed:
        raise UsageError("--qeval-until-decided needs all outcomes in one process: leave -n out, or use -n0.")
    if not any(is_decidable(gate) for gate in gates):
        raise UsageError(
            "--qeval-until-decided needs a gate on solved problems, such as --qeval-gate 'pass@1 drop <= 2pt'."
        )
    whole = next((gate for gate in gates if needs_everything(gate)), None)
    if whole is not None:
        raise UsageError(
            f"--qeval-until-decided cannot leave anything out for the gate {whole.expression!r}, whose number depends "
            "on every answer: leave one of the two out."
        )


def check_divergence(settings: Settings, gates: Sequence[Gate]) -> None:
    """Make sure that a gate on the divergence can be judged, where the user named the suites.

    Raises:
        GateError: when none of them measures it.
    """
    about = next((gate for gate in gates if gate.metric in OF_DIVERGENCE), None)
    if about and settings.suites and "divergence" not in settings.suites:
        raise GateError(f"the gate {about.expression!r} needs the suite divergence: add --qeval-suite divergence.")


def check_export(settings: Settings) -> None:
    """Make sure that what is to be exported can be.

    Raises:
        UsageError: when a recipe is another package's to write, when there is nothing to write, or nowhere to.
    """
    if settings.export is None:
        return
    recipes = [find_recipe(settings.definition_of(name)) for name in settings.recipes]
    foreign = next((recipe for recipe in recipes if recipe.quantizer), None)
    if foreign is not None:
        raise UsageError(
            f"--qeval-export writes this package's own schemes, such as int8 or w4a16-g128; {foreign.name} is "
            f"{foreign.quantizer}'s to write. Leave one of the two out."
        )
    quantizing = [recipe for recipe in recipes if recipe.quantizes]
    if not quantizing:
        raise UsageError("--qeval-export has nothing to write: no recipe of this run quantizes, as int8 would.")
    for recipe in quantizing:
        _check_folder(settings.export / file_stem(recipe.name), settings)


def _check_folder(folder: Path, settings: Settings) -> None:
    """Refuse a folder that holds anything but an earlier export, and one that cannot be made."""
    models = [resolve(settings.model_of(recipe)).path for recipe in settings.all_recipes]
    if any(path is not None and path.resolve() == folder.resolve() for path in models):
        raise UsageError(f"--qeval-export would overwrite the model under test, {folder}: name another folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / EXPORT_FILE).is_file():
        raise UsageError(f"--qeval-export: {folder} is not empty and holds no earlier export: name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--qeval-export: {folder} cannot be made ({error.strerror}): name another folder.") from error


def check_overlap(settings: Settings, benchmarks: Iterable[Benchmark]) -> None:
    """Refuse calibration texts that are problems of the benchmarks under test.

    Raises:
        DataError: naming text and problem.
    """
    if settings.calibration.allow_overlap:
        return
    calibrated = _calibrated(settings)
    if not calibrated:
        return
    problems = [
        (problem.task_id, problem.prompt + problem.canonical_solution)
        for benchmark in benchmarks
        for problem in benchmark.problems.values()
    ]
    for recipe, texts in calibrated:
        overlap = find_overlap(texts.texts, problems)
        if overlap is not None:
            raise DataError(
                f"calibration text {overlap.text + 1} of {texts.source} for {recipe.name} overlaps with "
                f"{overlap.task_id} (13-grams in common: {overlap.share:.0%}). Scales fitted to the benchmark flatter "
                "the recipe: calibrate on other texts (--qeval-calibration stdlib), or accept it with "
                "--qeval-allow-overlap."
            )


def _calibrated(settings: Settings) -> list[tuple[Recipe, CalibrationTexts]]:
    found = []
    for name in () if settings.replays else settings.run_recipes:
        recipe = find_recipe(settings.definition_of(name))
        if recipe.calibration:
            plan, source = recipe.calibration, settings.calibration.source
            seed = settings.generation.seed
            found.append(
                (recipe, calibration_texts(source, samples=plan.samples, characters=plan.characters, seed=seed))
            )
    return found
