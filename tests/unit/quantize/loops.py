"""Where the compiled loops have to work: elsewhere their tests are skipped, but here a loop that fails is a failure."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import pytest
import torch  # noqa: F401 - brings its OpenMP

from pytest_qeval.quantize.kernels.compiled.compiler import _OPENMP, _is_loaded

HAS_LOOPS = (
    sys.platform == "linux"
    and platform.machine() == "x86_64"
    and shutil.which("gcc") is not None
    and _is_loaded(_OPENMP)
)
needs_loops = pytest.mark.skipif(not HAS_LOOPS, reason="no gcc on x86-64 Linux, or torch does not use GNU OpenMP")


def _has(*flags: str) -> bool:
    cpu = Path("/proc/cpuinfo")
    return HAS_LOOPS and {*flags} <= {*cpu.read_text(encoding="utf-8").split()}


HAS_PRODUCTS = _has("avx512_bf16", "avx512_vnni")
HAS_TILES = _has("amx_bf16", "amx_int8")
