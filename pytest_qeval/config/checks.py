"""What a run needs before anything is loaded: calibration texts, places to export to, gates that can be judged."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.suites import MEASURING, OF_DIVERGENCE
from pytest_qeval.errors import DataError, GateError, UsageError
from pytest_qeval.measure.powercap import Powercap
from pytest_qeval.perturb.catalogue import Catalogue, own_perturbations, select
from pytest_qeval.quantize.backends.vllm import NAME as OF_VLLM
from pytest_qeval.quantize.backends.vllm import refuse_elsewhere
from pytest_qeval.quantize.corpus import calibration_texts
from pytest_qeval.quantize.lookup import split_cache
from pytest_qeval.quantize.overlap import find_overlap
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe
from pytest_qeval.settings import file_stem
from pytest_qeval.verdict.gates.checks import check_gates, check_provable, check_samples
from pytest_qeval.verdict.gates.decider import is_decidable, needs_everything
from pytest_qeval.verdict.gates.metrics import METRICS, OF_GENERATION

_CACHES = ", or quantize the key/value cache only (+kv8, +kv4)"


def calibrate(settings: RunSettings) -> RunSettings:
    """Read the texts of every recipe that is calibrated.

    Raises:
        DataError: when the texts cannot be had.
    """
    texts = {}
    for name in () if settings.replays else settings.run_names:
        recipe = settings.recipe(name)
        if recipe.calibration:
            texts[recipe.name] = calibration_texts(
                settings.calibration.source,
                samples=recipe.calibration.samples,
                characters=recipe.calibration.characters,
                seed=settings.generation.seed,
            )
    return replace(settings, calibration_texts=texts)


def calibration_warnings(settings: RunSettings) -> list[str]:
    """Return what is worth a warning about calibration."""
    return [
        f"{name} is calibrated on a single text: its static scales are a guess."
        for name, texts in settings.calibration_texts.items()
        if len(texts.texts) == 1
    ]


def check_suites(settings: RunSettings) -> None:
    """Make sure that at least one of the suites that are named has something to measure.

    Raises:
        UsageError: when none has, with the reason of the first.
    """
    reasons = [_nothing_to_measure(suite, settings) for suite in settings.suites]
    if reasons and all(reasons):
        raise UsageError(f"--qeval-suite {settings.suites[0]} {reasons[0]}.")


def _nothing_to_measure(suite: str, settings: RunSettings) -> str:
    """Say what a suite needs that the run has not; empty where it can measure."""
    if suite in MEASURING and settings.replays:
        return "measures a model, and this run has none: add a suite of completions, such as --qeval-suite humaneval"
    if suite in {"memory", "sensitivity"} and settings.all_served:
        return (
            "measures a model in this process, and those of this run are in others, or on servers: add a suite of "
            "completions, such as --qeval-suite humaneval"
        )
    if suite == "divergence" and not settings.compares and settings.save_baseline is None:
        return (
            "compares a recipe with the baseline, and this run has only one of them: add --qeval-recipe int8, or "
            "--qeval-save-baseline FILE.json.gz for a later run"
        )
    if suite == "sensitivity" and not any(settings.recipe(name).has_sensitivity for name in settings.run_names):
        return (
            "quantizes the weights of one block at a time and needs a recipe of this package's own schemes, without "
            "+kv8 or +kv4: add --qeval-recipe int8, or w4a16-g128"
        )
    return ""


def check_perturbations(settings: RunSettings, own: Iterable[object]) -> None:
    """Make sure that every perturbation of the suite `robustness` is known, and its files can be read.

    Raises:
        UsageError: for one that is not; and for seeds that no perturbation uses.
    """
    if not (settings.perturbations or settings.perturbation_seeds):
        return
    found = select(settings.perturbations, Catalogue(own=own_perturbations(own), data=settings.data))
    if (settings.perturbation_seeds or 1) > 1 and not any(one.random or one.versions for one in found):
        names = ", ".join(one.name for one in found)
        raise UsageError(f"--qeval-seeds does nothing in this run: {names} makes no random choice. Leave it out.")


def check_gates_of_run(settings: RunSettings, *, benchmarks: Collection[str] | None, distributed: bool) -> None:
    """Make sure that every gate can be judged by what the run does; `benchmarks` is None while they are not known.

    Raises:
        GateError: for a gate that no suite measures, or that has to be proven and cannot be.
        UsageError: when the run is to end early and cannot, or drafts leave out what a gate is about.
    """
    gates = settings.gates
    check_gates(gates, candidates=settings.candidates, benchmarks=benchmarks)
    check_provable(gates, require_proof=settings.require_proof)
    about = next((gate for gate in gates if gate.metric in OF_DIVERGENCE), None)
    if about and settings.suites and "divergence" not in settings.suites:
        raise GateError(f"the gate {about.expression!r} needs the suite divergence: add --qeval-suite divergence.")
    _check_disk(settings)
    if settings.baseline_drafts:
        _check_drafts(settings)
    if settings.until_decided:
        _check_early_stop(settings, distributed=distributed)
    if not settings.replays:
        _check_energy(settings, distributed=distributed)
        check_samples(gates, n_samples=settings.generation.n_samples)


def _check_disk(settings: RunSettings) -> None:
    gate = next((gate for gate in settings.gates if gate.metric == "disk"), None)
    if gate is not None and settings.export is None:
        raise GateError(
            f"the gate {gate.expression!r} is about the files of an exported checkpoint: add --qeval-export DIR."
        )


def _check_energy(settings: RunSettings, *, distributed: bool) -> None:
    """Make sure that energy is measured here, repeatedly, where a gate wants that."""
    gate = next((one for one in settings.gates if METRICS[one.metric].is_energy and not one.rough), None)
    if gate is None:
        return
    reason = Powercap().missing
    if settings.energy.power_w:
        reason = "--qeval-power-watts is time × watts"
    elif distributed:
        reason = "with -n, the energy of the machine is divided among workers"
    elif not reason and settings.suites and "efficiency" not in settings.suites:
        reason = "the suite efficiency repeats readings, and is not run: add --qeval-suite efficiency"
    if reason:
        raise GateError(
            f"the gate {gate.expression!r} judges energy that is measured, and repeats that agree: {reason}. "
            f"Accept an estimate by '{gate.expression} rough'."
        )


def _check_drafts(settings: RunSettings) -> None:
    gate = next((gate for gate in settings.gates if gate.metric in OF_GENERATION), None)
    if gate is not None:
        raise UsageError(
            f"--qeval-baseline-drafts changes what generating costs, which the gate {gate.expression!r} is about: "
            "leave one of the two out."
        )


def _check_early_stop(settings: RunSettings, *, distributed: bool) -> None:
    if distributed:
        raise UsageError("--qeval-until-decided needs all outcomes in one process: leave -n out, or use -n0.")
    whole = next((gate for gate in settings.gates if needs_everything(gate)), None)
    if whole is not None:
        raise UsageError(
            f"--qeval-until-decided cannot leave anything out for the gate {whole.expression!r}, whose number depends "
            "on every completion: leave one of the two out."
        )
    if not any(is_decidable(gate) for gate in settings.gates):
        raise UsageError(
            "--qeval-until-decided needs a gate on solved problems, such as --qeval-gate 'pass@1 drop <= 2pt'."
        )


def check_served(settings: RunSettings) -> None:
    """Refuse recipes that the engine cannot give a model; only transformers takes all but vLLM's own.

    Raises:
        UsageError: naming the first one.
    """
    for name in () if settings.replays else settings.run_names:
        recipe = settings.recipe(name)
        if settings.in_process(name):
            if recipe.quantizer == OF_VLLM:
                refuse_elsewhere(recipe)
            continue
        engine = settings.model.engine
        if engine == "vllm" and settings.resolved and name not in settings.resolved.served:
            _check_vllm(recipe)
            continue
        has_caches = engine == "llamacpp"
        if recipe.quantizes or recipe.dtype != "checkpoint" or (recipe.cache and not has_caches):
            raise UsageError(
                f"--qeval-engine {engine} runs a model as it is, and cannot give it the recipe {name}: leave "
                f"--qeval-recipe out{_CACHES if has_caches else ''}."
            )


def _check_vllm(recipe: Recipe) -> None:
    if recipe.cache or (recipe.quantizes and recipe.quantizer != OF_VLLM):
        raise UsageError(
            f"--qeval-engine vllm cannot give a model the recipe {recipe.name}: choose one of vLLM's, such as "
            "vllm:fp8_per_tensor, or bf16, or name a checkpoint that is quantized already."
        )


def check_export(settings: RunSettings) -> None:
    """Make sure that what is to be exported can be.

    Raises:
        UsageError: when a recipe is another package's to write, when there is nothing to write, or nowhere to.
    """
    if settings.export is None:
        return
    recipes = [settings.recipe(name) for name in settings.candidates]
    foreign = next((recipe for recipe in recipes if recipe.quantizer), None)
    if foreign is not None:
        raise UsageError(
            f"--qeval-export writes this package's own schemes, such as int8 or w4a16-g128; {foreign.name} is "
            f"{foreign.quantizer}'s to write. Leave one of the two out."
        )
    cached = next((recipe for recipe in recipes if recipe.cache), None)
    if cached is not None:
        raise UsageError(
            f"--qeval-export writes weights, and the key/value cache of {cached.name} is none of them: export "
            f"{split_cache(cached.name)[0]}, and evaluate the export as as-is{split_cache(cached.name)[1]}."
        )
    quantizing = [recipe for recipe in recipes if recipe.quantizes]
    if not quantizing:
        raise UsageError("--qeval-export has nothing to write: no recipe of this run quantizes, as int8 would.")
    for recipe in quantizing:
        _check_export_folder(settings.export / file_stem(recipe.name), settings)


def check_output(settings: RunSettings) -> None:
    """Refuse to write completions over the file that they come from.

    Raises:
        UsageError: when the samples file lies in the folder of `--qeval-output`, and is named like those of a run.
    """
    read, folder = settings.completions, settings.output
    if read is None or folder is None or read.resolve().parent != folder.resolve():
        return
    if re.fullmatch(r"(perturbed-)?samples(-.+)?\.jsonl", read.name):
        raise UsageError(f"--qeval-output could overwrite the completions in {read}: name another folder.")


def _check_export_folder(folder: Path, settings: RunSettings) -> None:
    """Refuse a folder that holds anything but an earlier export, and one that cannot be made."""
    models = [source.path for source in settings.resolved.sources] if settings.resolved else []
    if any(path is not None and path.resolve() == folder.resolve() for path in models):
        raise UsageError(f"--qeval-export would overwrite the model under test, {folder}: name another folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / EXPORT_FILE).is_file():
        raise UsageError(f"--qeval-export: {folder} is not empty and holds no earlier export: name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--qeval-export: {folder} cannot be made ({error.strerror}): name another folder.") from error


def check_overlap(settings: RunSettings, benchmarks: Iterable[Benchmark]) -> None:
    """Refuse calibration texts that are problems of the benchmarks under test.

    Raises:
        DataError: naming text and problem.
    """
    if settings.calibration.allow_overlap or not settings.calibration_texts:
        return
    problems = [
        (problem.task_id, problem.source(problem.canonical_solution))
        for benchmark in benchmarks
        for problem in benchmark.problems.values()
    ]
    for name, texts in settings.calibration_texts.items():
        overlap = find_overlap(texts.texts, problems)
        if overlap is not None:
            raise DataError(
                f"calibration text {overlap.text + 1} of {texts.source} for {name} overlaps with "
                f"{overlap.task_id} (13-grams in common: {overlap.share:.0%}). Scales fitted to the benchmark flatter "
                "the recipe: calibrate on other texts (--qeval-calibration stdlib), or accept it with "
                "--qeval-allow-overlap."
            )
