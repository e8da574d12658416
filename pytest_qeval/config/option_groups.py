"""Groups of options that depend on nothing else: generation, execution, calibration, suites and paths."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import Any, Literal, cast

from pytest_qeval import registry
from pytest_qeval.config.values import Values
from pytest_qeval.errors import DataError, MissingPackageError, UsageError, about, did_you_mean
from pytest_qeval.measure.byte_sizes import parse_bytes
from pytest_qeval.measure.grid import known_country
from pytest_qeval.measure.machine import quota_cores, total_memory_bytes, usable_cores
from pytest_qeval.report.html.packages import EXTRA, PACKAGES
from pytest_qeval.settings import (
    ISOLATIONS,
    MORE_SUITES,
    PROMPTS,
    SUITES,
    CalibrationSettings,
    Embodied,
    EnergySettings,
    ExecutionSettings,
    GenerationSettings,
    PromptName,
)

_LONGEST_S = 86400.0
"""Time limit of a program at most."""
_MOST_WATTS = 1e6
"""Of a machine: a megawatt is a typing error."""


def gate_texts(values: Values) -> list[str]:
    """Return the gates as they are written, with the paths of gate files resolved."""
    return [values.path(text, "gate") if text.endswith(".toml") else text for text in values.texts("gate")]


def read_save_baseline(values: Values) -> Path | None:
    """Read where the baseline is written to.

    Raises:
        UsageError: for another ending than `.json.gz`.
    """
    path = values.output("save-baseline")
    if path and not path.name.endswith(".json.gz"):
        raise UsageError(
            f"--qeval-save-baseline expects a file that ends in .json.gz, not {values.text('save-baseline')!r}."
        )
    return path


def read_open(values: Values) -> bool:
    """Read whether the page is shown at the end.

    Raises:
        MissingPackageError: when it cannot be made.
    """
    if not values.flag("open"):
        return False
    for package in (name for name in PACKAGES if find_spec(name) is None):
        raise MissingPackageError(package, extra=EXTRA, purpose="--qeval-open")
    return True


def read_calibration(values: Values) -> CalibrationSettings:
    """Read what static activations are calibrated on."""
    source = values.text("calibration") or CalibrationSettings().source
    return CalibrationSettings(
        source=values.path(source, "calibration") if source.endswith(".jsonl") else source,
        allow_overlap=values.flag("allow-overlap"),
    )


@about("suite")
def read_suites(names: Sequence[str]) -> tuple[str, ...]:
    """Read the names of suites; `all` stands for all but the large ones.

    Raises:
        UsageError: for an unknown suite.
    """
    known = (*SUITES, *MORE_SUITES, "all")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        guess = did_you_mean(unknown, known)
        raise UsageError(f"there is no suite {unknown!r}. {guess}Available: {', '.join(known)}.")
    return tuple(dict.fromkeys(suite for name in names for suite in (SUITES if name == "all" else (name,))))


@about("benchmark")
def read_benchmarks(values: Values) -> tuple[str, ...]:
    """Read the names of benchmarks.

    Raises:
        UsageError: for an unknown benchmark, or a file.
    """
    names = tuple(values.texts("benchmark"))
    for name in names:
        if name.endswith(".jsonl"):
            raise UsageError(
                f"--qeval-benchmark expects a name, not the file {name!r}. To use your own problems, put a test "
                f'beside the file, marked @pytest.mark.qeval("{Path(name).name}"), or qeval_robustness to perturb them.'
            )
        registry.load("benchmarks", name)  # an unknown name is refused now
    return names


def read_generation(values: Values) -> GenerationSettings:
    """Read how completions are generated.

    Raises:
        UsageError: for a number out of range, or several greedy samples.
    """
    defaults = GenerationSettings()
    temperature = values.number("temperature", float, lambda t: 0 <= t < inf, "a number from 0 on")
    samples = values.positive("samples") or defaults.n_samples
    if samples > 1 and not temperature:
        raise UsageError(
            f"--qeval-samples {samples} with greedy decoding would give the same completion {samples} times: "
            "add --qeval-temperature 0.2, or leave --qeval-samples out."
        )
    return GenerationSettings(
        n_samples=samples,
        temperature=temperature or defaults.temperature,
        top_p=values.number("top-p", float, lambda p: 0 < p <= 1, "a number above 0 and at most 1") or defaults.top_p,
        max_new_tokens=values.positive("max-new-tokens") or defaults.max_new_tokens,
        seed=values.number("seed", int, lambda seed: seed >= 0, "a whole number from 0 on") or 0,
    )


def read_prompt(values: Values) -> PromptName:
    """Read the prompt style that the user wants.

    Raises:
        UsageError: for an unknown one.
    """
    prompt: Any = values.text("prompt") or "auto"
    if prompt not in PROMPTS:
        raise UsageError(f"--qeval-prompt expects one of {', '.join(PROMPTS)}, not {prompt!r}.")
    return cast("PromptName", prompt)


def read_fim(values: Values) -> str | None:
    """Read the template of prompts to be filled in; its tokens are checked once a tokenizer is known.

    Raises:
        UsageError: for a template without a place for the prefix, with several for the same side, or without tokens.
    """
    template = values.text("fim")
    if values.is_empty("fim"):
        raise UsageError("--qeval-fim is empty, perhaps from a variable that is not set: leave it out.")
    if template and template.replace("{suffix}", "").strip() == "{prefix}" and "{suffix}" in template:
        raise UsageError(
            f"--qeval-fim has no token that marks prefix and suffix: {template!r} runs them together. Name the model's "
            "tokens, or write '{prefix}' to give the prefix alone."
        )
    if template and (template.count("{prefix}") != 1 or template.count("{suffix}") > 1):
        raise UsageError(
            "--qeval-fim expects a text with {prefix} once, and {suffix} at most once, such as "
            f"'<|fim_prefix|>{{prefix}}<|fim_suffix|>{{suffix}}<|fim_middle|>', not {template!r}."
        )
    return template or None


def read_threads(values: Values) -> int | None:
    """Read the engine's CPU threads; None leaves torch's own choice.

    Torch knows no CPU quota. In every worker it would take all cores, and threads that wait busily keep those of
    another worker from their work: on two cores two workers of the embedded model took twice as long.
    """
    variable = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    threads = values.positive("threads") or (int(variable) if variable.isdecimal() else 0)
    if threads or (values.n_workers == 1 and quota_cores() is None):
        return threads or None
    return max(1, usable_cores() // values.n_workers)


def read_budget(values: Values) -> int | None:
    """Read the memory that the whole run may use, in bytes; None for no budget.

    Raises:
        UsageError: for something without a number and a unit, or for nothing at all.
    """
    text = values.text("ram-budget")
    if text is None:
        return None
    size = parse_bytes(text)
    if not size:
        raise UsageError(f"--qeval-ram-budget expects a size with its unit, such as 16GB or 12GiB, not {text!r}.")
    return size


def read_execution(values: Values) -> ExecutionSettings:
    """Read how programs are executed.

    Raises:
        UsageError: for an unknown isolation, or a number out of range.
    """
    defaults = ExecutionSettings()
    isolation: Any = values.text("sandbox") or defaults.isolation
    if isolation not in ISOLATIONS:
        raise UsageError(f"--qeval-sandbox expects one of {', '.join(ISOLATIONS)}, not {isolation!r}.")
    memory_mb = values.positive("memory")
    memory_bytes = memory_mb * 2**20 if memory_mb else defaults.memory_bytes
    return ExecutionSettings(
        isolation=isolation,
        timeout_s=values.number("timeout", float, lambda s: 0 < s <= _LONGEST_S, "seconds above 0, a day at most")
        or defaults.timeout_s,
        memory_bytes=memory_bytes,
        workers=values.positive("workers") or _n_sandboxes(memory_bytes, values.n_workers),
    )


def _n_sandboxes(memory_bytes: int, n_workers: int) -> int:
    """Return how many programs a process executes at a time: one a core, as far as there is memory for them."""
    return max(1, min(usable_cores(), total_memory_bytes() // memory_bytes) // n_workers)


def read_energy(values: Values) -> EnergySettings:
    """Read what the user knows about the machine's energy.

    Raises:
        UsageError: for an unknown country, or something else than watts or mass over time.
        MissingPackageError: for a country without codecarbon, which knows the grids.
    """
    country = values.text("country")
    with about("country"):
        return EnergySettings(
            country=known_country(country) if country else None,
            power_w=values.number("power-watts", float, lambda w: 0 < w <= _MOST_WATTS, "watts above 0, such as 65"),
            embodied=values.number("embodied", _embodied, lambda _: True, "mass/time, such as 300kg/4y or 90kg/36mo"),
        )


_EMBODIED = re.compile(r"(\d+(?:\.\d+)?)\s*(g|kg|t)\s*/\s*(\d+(?:\.\d+)?)\s*(mo|[ydh])")
_GRAMS = {"g": 1.0, "kg": 1e3, "t": 1e6}
_SECONDS = {"h": 3600.0, "d": 86400.0, "mo": 365.25 * 86400 / 12, "y": 365.25 * 86400}


def _embodied(text: str) -> Embodied:
    """Read `300kg/4y`.

    Raises:
        ValueError: for anything else.
    """
    found = _EMBODIED.fullmatch(text.strip())
    if found is None or not float(found[3]):
        raise ValueError(text)
    return Embodied(grams=float(found[1]) * _GRAMS[found[2]], lifetime_s=float(found[3]) * _SECONDS[found[4]])


def existing(values: Values, name: str, kind: Literal["file", "folder"]) -> Path | None:
    """Return the path of an option; None where it is not given.

    Raises:
        DataError: when there is no such file or folder, or one where the other is expected.
    """
    text = values.file(name)
    path = Path(text) if text else None
    if path is None or (path.is_file() if kind == "file" else path.is_dir()):
        return path
    if path.exists():
        found = "a folder" if path.is_dir() else "a file" if path.is_file() else "neither a file nor a folder"
        raise DataError(f"--qeval-{name} expects a {kind}, and {text!r} is {found}.")
    raise DataError(f"--qeval-{name}: there is no {kind} {text!r}.")
