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
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import platformdirs

_T = TypeVar("_T")

SWITCH = "QEVAL_COMPILED"
"""Environment variable; `0` leaves the loops out."""
_SOURCES = tuple(Path(__file__).with_name(name) for name in ("loops.c", "products.c", "attention.c", "numbers.h"))
_COMPILERS = ("gcc", "cc")
_FLAGS = (
    *("-O3", "-march=native", "-std=gnu11", "-fopenmp", "-fPIC", "-shared", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),  # the last two change no result
)
_OPENMP = "libgomp.so.1"
_TIMEOUT_S = 120
_OTHERS_WRITE = 0o022
_PROCESSOR = (b"flags", b"Features", b"vendor_id", b"cpu family", b"model", b"stepping", b"CPU ")
"""Lines of cpuinfo that tell kinds of processors apart; the compiler looks deeper than the flags."""


@cache
def load_library() -> ctypes.CDLL | None:
    """Return the compiled loops; None where they are switched off or cannot be had.

    They share torch's threads, whose number they keep to. A second OpenMP beside torch's, such as clang's, would have
    threads of its own, which wait for work at the expense of torch's.
    """
    if os.environ.get(SWITCH) == "0" or sys.platform != "linux" or not _is_loaded(_OPENMP):
        return None
    with suppress(OSError, subprocess.SubprocessError):
        path = _kept() or _compile()
        if _OPENMP.encode() in path.read_bytes():
            return ctypes.CDLL(str(path))
    return None


def tried(make: Callable[[ctypes.CDLL], _T], is_right: Callable[[_T], bool]) -> _T | None:
    """Return functions of the library; None where there is none, it lacks them, or what they give is wrong."""
    library = load_library()
    try:
        functions = make(library) if library else None
    except AttributeError:  # they were compiled for a processor that has not what they need
        return None
    return functions if functions is not None and is_right(functions) else None


def _is_loaded(name: str) -> bool:
    try:
        ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return False
    return True


def _kept() -> Path | None:
    """Return the library of an earlier session; None where there is none, or it is not as it was made.

    A library runs in this process, so nobody else may have been able to write it. Its name has the hash of its content,
    because loading half a file can kill the process.
    """
    folder = _folder()
    for path in folder.glob(f"{_prefix()}-*.so") if folder.is_dir() and _is_ours(folder) else ():
        if _is_ours(path) and path.stem.endswith(_hash(path.read_bytes())):
            return path
    return None


def _is_ours(path: Path) -> bool:
    facts = path.lstat()
    return facts.st_uid == os.geteuid() and not facts.st_mode & _OTHERS_WRITE and not path.is_symlink()


def _compile() -> Path:
    """Return the library's file, made now.

    Raises:
        OSError: when there is no compiler, or the file cannot be written where only this user can.
        subprocess.SubprocessError: when the compiler fails.
    """
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_ours(folder):
        raise PermissionError(folder)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        made = Path(own) / "loops.so"
        command = [_compiler(), *_FLAGS, "-o", str(made), *(str(path) for path in _SOURCES if path.suffix == ".c")]
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
        made.chmod(0o600)
        return made.replace(folder / f"{_prefix()}-{_hash(made.read_bytes())}.so")


def _folder() -> Path:
    return platformdirs.user_cache_path("pytest-qeval") / "compiled"


def _compiler() -> str:
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise FileNotFoundError(_COMPILERS[0])
    return compiler


def _prefix() -> str:
    """Return what tells libraries apart: source, flags, compiler and what the processor can do."""
    facts = Path(_compiler()).resolve().stat()
    parts = [
        *(path.read_bytes() for path in _SOURCES),
        *map(str.encode, (*_FLAGS, str(facts.st_size), str(facts.st_mtime_ns))),
    ]
    first = Path("/proc/cpuinfo").read_bytes().partition(b"\n\n")[0].splitlines()
    parts += [line for line in first if line.startswith(_PROCESSOR)]
    digest = _hash(b"".join(parts))
    return f"loops-{digest}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
