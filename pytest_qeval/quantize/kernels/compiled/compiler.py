"""Compile the loops by the machine's C compiler, once for a kind of processor, and load them.

They are compiled where they run: the compiler then uses the vectors of this very processor, and no binaries have to be
published. Without a compiler everything works as before, and more slowly.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

SWITCH = "QEVAL_COMPILED"
"""Environment variable; `0` leaves the loops out."""
_SOURCE = Path(__file__).with_name("loops.c")
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = (
    *("-O3", "-march=native", "-std=c11", "-fopenmp", "-fPIC", "-shared", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),  # the last two change no result
)
_OPENMP = "libgomp.so.1"
_TIMEOUT_S = 60


@cache
def load_library() -> ctypes.CDLL | None:
    """Return the compiled loops; None where they are switched off or cannot be had.

    They share torch's threads, whose number they keep to. A second OpenMP beside torch's would have threads of its own,
    which wait for work at the expense of torch's.
    """
    if os.environ.get(SWITCH) == "0" or sys.platform != "linux" or not _is_loaded(_OPENMP):
        return None
    with suppress(OSError, subprocess.SubprocessError):
        return ctypes.CDLL(str(_compiled()))
    return None


def _is_loaded(name: str) -> bool:
    try:
        ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return False
    return True


def _compiled() -> Path:
    """Return the library's file, made now if need be.

    Raises:
        OSError: when there is no compiler, or the file cannot be written.
        subprocess.SubprocessError: when the compiler fails.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise FileNotFoundError(_COMPILERS[0])
    folder = platformdirs.user_cache_path("pytest-qeval") / "compiled"
    path = folder / f"loops-{_digest(compiler)}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            made = Path(own) / path.name
            command = [compiler, *_FLAGS, "-o", str(made), str(_SOURCE)]
            subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
            made.replace(path)
    return path


def _digest(compiler: str) -> str:
    """Return what tells libraries apart: source, flags, compiler and what the processor can do."""
    facts = Path(compiler).resolve().stat()
    parts = [_SOURCE.read_bytes(), *map(str.encode, (*_FLAGS, compiler, str(facts.st_size), str(facts.st_mtime_ns)))]
    parts += [line for line in Path("/proc/cpuinfo").read_bytes().splitlines() if line.startswith(b"flags")][:1]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
