"""Where the compiled loops have to work: elsewhere their tests are skipped, but here a loop that fails is a failure."""

from __future__ import annotations

import platform
import shutil
import sys

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
