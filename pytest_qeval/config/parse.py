"""The command line and the ini file, read once into `Settings`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from math import inf
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.config.recipe_options import recipe_settings, replay_settings, selftest_settings
from pytest_qeval.config.values import Values
from pytest_qeval.errors import DataError, UsageError, did_you_mean
from pytest_qeval.settings import (
    ISOLATIONS,
    MORE_SUITES,
    PROMPTS,
    SUITES,
    CalibrationSettings,
    ExecutionSettings,
    GenerationSettings,
    ModelSettings,
    PromptName,
    Settings,
)

__all__ = ["ComparisonSettings", "read_comparison", "read_settings"]


def read_settings(config: pytest.Config) -> Settings | None:
    """Read and check what the user asked for; None when the plugin is to stay inert.

    Raises:
        UsageError: for anything that cannot work, before a model is touched.
    """
    values = Values(config)
    if values.flag("selftest"):
        return _selftest(values, config.invocation_params.dir)
    model, completions = values.text("model"), values.file("completions")
    if model and completions:
        raise UsageError("--qeval-model and --qeval-completions exclude each other: run a model, or replay samples.")
    if not (model or completions):
        return None
    recipes = replay_settings(values) if completions else recipe_settings(values)
    return Settings(
        model=ModelSettings(
            name=model or str(completions),
            revision=values.text("revision"),
            engine="replay" if completions else values.text("engine") or "transformers",
            device=values.text("device") or "auto",
            threads=values.positive("threads"),
            batch_size=values.positive("batch-size"),
        ),
        **recipes,
        **_common(values, config.invocation_params.dir),
        completions=_existing(completions, "--qeval-completions") if completions else None,
        gates=_gates(values),
        require_proof=values.flag("require-proof"),
        strict=values.flag("strict"),
        until_decided=values.flag("until-decided"),
        prompt=_prompt(values),
        save_baseline=_saving(values.file("save-baseline"), config.invocation_params.dir),
        export=_output(values.file("export"), config.invocation_params.dir),
        calibration=CalibrationSettings(source=_calibration_source(values), allow_overlap=values.flag("allow-overlap")),
        generation=_generation(values),
    )


def _selftest(values: Values, start: Path) -> Settings:
    model = ModelSettings(name=NAME, engine="replay")
    return Settings(model=model, **selftest_settings(values), **_common(values, start))


def _common(values: Values, start: Path) -> dict[str, Any]:
    """Return what holds whoever answers: what is asked, how programs are run, and where reports go."""
    return {
        "suites": _suites(values.texts("suite")),
        "benchmarks": _benchmarks(values),
        "perturbations": tuple(values.texts("perturbation")),
        "perturbation_seeds": values.positive("seeds"),
        "every_suite": "all" in values.texts("suite"),
        "limit": values.positive("limit"),
        "data": _folder(values.file("data")),
        "output": _output(values.file("output"), start),
        "execution": _execution(values),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonSettings:
    """What `--qeval-compare` was asked."""

    a: Path
    """The journal of the baseline's run."""
    b: Path
    """The journal of the run that is judged."""
    gates: tuple[str, ...]
    require_proof: bool
    force: bool
    output: Path


def read_comparison(config: pytest.Config) -> ComparisonSettings:
    """Read what `--qeval-compare` needs.

    Raises:
        UsageError: when a model is named too.
    """
    values = Values(config)
    other = next((name for name in ("model", "completions", "selftest") if values.typed(name)), None)
    if other:
        raise UsageError(f"--qeval-compare reads two finished runs: leave --qeval-{other} out.")
    a, b = (config.invocation_params.dir / path for path in config.getoption("qeval_compare"))
    name = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S-compare")
    output = _output(values.file("output"), config.invocation_params.dir)
    return ComparisonSettings(
        a=a,
        b=b,
        gates=_gates(values),
        require_proof=values.flag("require-proof"),
        force=values.flag("baseline-force"),
        output=output or config.invocation_params.dir / ".qeval" / name,
    )


def _saving(name: str | None, start: Path) -> Path | None:
    if name and not name.endswith(".json.gz"):
        raise UsageError(f"--qeval-save-baseline expects a file that ends in .json.gz, not {name!r}.")
    return _output(name, start)


def _gates(values: Values) -> tuple[str, ...]:
    return tuple(values.path(text, "gate") if text.endswith(".toml") else text for text in values.texts("gate"))


def _calibration_source(values: Values) -> str:
    source = values.text("calibration") or CalibrationSettings().source
    return values.path(source, "calibration") if source.endswith(".jsonl") else source


def _suites(names: Sequence[str]) -> tuple[str, ...]:
    known = (*SUITES, *MORE_SUITES, "all")
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        guess = did_you_mean(unknown, known)
        raise UsageError(f"there is no suite {unknown!r}. {guess}Available: {', '.join(known)}.")
    return tuple(dict.fromkeys(suite for name in names for suite in (SUITES if name == "all" else (name,))))


def _benchmarks(values: Values) -> tuple[str, ...]:
    """Read the names of benchmarks, known ones only: what a typing error means shows before a model is loaded."""
    names = tuple(values.texts("benchmark"))
    for name in names:
        if name.endswith(".jsonl"):
            raise UsageError(
                f"--qeval-benchmark expects a name, not the file {name!r}: a test beside it asks problems of your own, "
                f'marked @pytest.mark.qeval("{Path(name).name}"), or qeval_robustness for the same perturbed.'
            )
        registry.load("benchmarks", name)
    return names


def _generation(values: Values) -> GenerationSettings:
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


def _prompt(values: Values) -> PromptName:
    prompt: Any = values.text("prompt") or "auto"
    if prompt not in PROMPTS:
        raise UsageError(f"--qeval-prompt expects one of {', '.join(PROMPTS)}, not {prompt!r}.")
    return cast("PromptName", prompt)


def _execution(values: Values) -> ExecutionSettings:
    import psutil  # noqa: PLC0415 - only when the plugin is active

    defaults = ExecutionSettings()
    isolation: Any = values.text("sandbox") or defaults.isolation
    if isolation not in ISOLATIONS:
        raise UsageError(f"--qeval-sandbox expects one of {', '.join(ISOLATIONS)}, not {isolation!r}.")
    memory_mb = values.positive("memory")
    return ExecutionSettings(
        isolation=isolation,
        timeout_s=values.number("timeout", float, lambda s: 0 < s < inf, "seconds above 0") or defaults.timeout_s,
        memory_bytes=memory_mb * 2**20 if memory_mb else defaults.memory_bytes,
        workers=values.positive("workers") or psutil.cpu_count() or defaults.workers,
    )


def _existing(name: str, option: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise DataError(f"{option}: there is no file {name!r}.")
    return path


def _folder(name: str | None) -> Path | None:
    if name is None:
        return None
    path = Path(name)
    if not path.is_dir():
        raise DataError(f"--qeval-data: there is no folder {name!r}.")
    return path


def _output(name: str | None, start: Path) -> Path | None:
    return start / name if name else None
