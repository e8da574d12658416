"""Confine a solver before it sees its program: take away all that a program does not need.

Several layers forbid the same things on purpose. `Abilities` says which layers this machine has.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from pytest_qeval.execution import landlock, linux, seccomp
from pytest_qeval.execution.limits import ProgramLimits
from pytest_qeval.execution.namespaces import DEVICES, can_nest

_MOST_DESCRIPTORS = 256  # a worker has about ten


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A worker's configuration, passed on its command line."""

    isolation: str
    """`bwrap`, `namespace` or `process`."""
    scratch: str
    """Temporary directory of programs."""
    readable: tuple[str, ...]
    """Files and directories that programs may read."""
    hidden: tuple[str, ...]
    """Directories below them that programs see empty: benchmarks and their solutions."""
    import_paths: tuple[str, ...]
    """Directories of installed packages that programs may import."""
    limits: ProgramLimits
    node: str = ""
    """Node.js, where programs are JavaScript; empty for Python."""

    def to_json(self) -> str:
        """Return the form for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """Read the result of `to_json`."""
        row = json.loads(text)
        return cls(**{**row, "limits": ProgramLimits(**row["limits"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """Layers of confinement that this machine has."""

    nested: bool
    """Whether each program has its own process tree, IPC namespace and file system for temporary files."""
    system_call_filter: bool
    landlock: bool

    @classmethod
    def probe(cls, isolation: str) -> Abilities:
        """Try each layer."""
        return cls(
            nested=isolation != "process" and can_nest(),
            system_call_filter=seccomp.is_supported() and _survives_filter(),
            landlock=landlock.landlock_version() > 0,
        )


def prepare_file_rules(profile: Profile, abilities: Abilities) -> int | None:
    """Return the descriptor of Landlock rules, needed only where no namespace guards the files."""
    if profile.isolation != "process" or not abilities.landlock:
        return None
    readable = [path for path in (*profile.readable, *DEVICES) if os.path.exists(path)]  # noqa: PTH110
    return landlock.build_ruleset(readable, profile.hidden, (profile.scratch, "/dev/null"))


def confine(profile: Profile, abilities: Abilities, file_rules: int | None, *, execute_at: int | None = None) -> None:
    """Confine the calling process irrevocably, and change into its empty temporary directory.

    See `seccomp.restrict_system_calls` for `execute_at`.
    """
    if abilities.nested:
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC)
        linux.mount_tmpfs(profile.scratch, profile.limits.scratch_bytes)
    os.chdir(profile.scratch)
    os.environ["HOME"] = os.environ["TMPDIR"] = profile.scratch
    os.umask(0o077)
    profile.limits.apply(bound_processes=profile.isolation != "process")
    linux.drop_capabilities()
    linux.set_no_new_privileges()
    if file_rules is not None:
        landlock.apply_ruleset(file_rules)
    if abilities.system_call_filter:
        seccomp.restrict_system_calls(os.getpid(), execute_at=execute_at)


def close_others(kept: int) -> None:
    """Close all descriptors but the standard streams and `kept`."""
    os.closerange(3, kept)
    os.closerange(kept + 1, _MOST_DESCRIPTORS)


def _survives_filter() -> bool:
    """Return whether a child process can be put under the filter and still do what it allows."""
    pid = os.fork()
    if pid == 0:
        try:
            linux.set_no_new_privileges()
            seccomp.restrict_system_calls(os.getpid())
            os.kill(os.getpid(), 0)
        except BaseException:  # noqa: BLE001 - the child must not return into its parent's code
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0
