"""Confine a solver before it sees its program: take away all that a program does not need.

Several layers forbid the same things on purpose. `Abilities` says which layers this machine has. Outside Linux there
are none: limits of resources are all that is left.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass

from pytest_qeval.execution.limits import ProgramLimits, bounds_memory

if sys.platform == "linux":
    from pytest_qeval.execution import landlock, linux, namespaces, seccomp

NAMESPACED = ("bwrap", "namespace")
"""Isolations that have Linux namespaces; the others share files and processes with everything else."""
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
"""Devices that programs may use."""

_MOST_DESCRIPTORS = 256  # a worker has about ten


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A worker's configuration, passed on its command line."""

    isolation: str
    """`bwrap`, `namespace`, `landlock` or `process`."""
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

    @property
    def has_namespaces(self) -> bool:
        """Whether programs have files and processes of their own, which end with them."""
        return self.isolation in NAMESPACED

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
    memory_limit: bool
    """Whether the kernel bounds the memory of a program; else its size is checked now and then."""

    @classmethod
    def probe(cls, isolation: str) -> Abilities:
        """Try each layer."""
        if sys.platform != "linux":
            return cls(nested=False, system_call_filter=False, landlock=False, memory_limit=bounds_memory())
        return cls(
            nested=isolation in NAMESPACED and namespaces.can_nest(),
            system_call_filter=seccomp.is_supported() and _survives_filter(),
            landlock=landlock.landlock_version() > 0,
            memory_limit=True,
        )

    def reason_against(self, isolation: str) -> str:
        """Return what an isolation needs and this machine lacks; empty where nothing is missing."""
        if isolation == "landlock" and not self.landlock:
            return "this kernel has no Landlock, or it is switched off"
        if isolation == "landlock" and not self.system_call_filter:
            return "system calls cannot be filtered here"
        return ""


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` to the calling process when its parent ends; only Linux can."""
    if sys.platform == "linux":
        linux.set_death_signal(signal)


def guard_worker() -> None:
    """Keep programs from tracing the calling process, and adopt what they leave; only on Linux."""
    if sys.platform == "linux":
        linux.set_undumpable()
        linux.set_child_subreaper()


def prepare_file_rules(profile: Profile, abilities: Abilities) -> int | None:
    """Return the descriptor of Landlock rules, needed only where no namespace guards the files."""
    if sys.platform != "linux" or profile.has_namespaces or not abilities.landlock:
        return None
    readable = [path for path in (*profile.readable, *DEVICES) if os.path.exists(path)]  # noqa: PTH110
    return landlock.build_ruleset(readable, profile.hidden, (profile.scratch, "/dev/null"))


def confine(profile: Profile, abilities: Abilities, file_rules: int | None, *, execute_at: int | None = None) -> None:
    """Confine the calling process irrevocably, and change into its empty temporary directory.

    See `seccomp.restrict_system_calls` for `execute_at`.
    """
    if sys.platform == "linux" and abilities.nested:
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC)
        linux.mount_tmpfs(profile.scratch, profile.limits.scratch_bytes)
    os.chdir(profile.scratch)
    os.environ["HOME"] = os.environ["TMPDIR"] = profile.scratch
    os.umask(0o077)
    profile.limits.apply(bound_processes=profile.has_namespaces)
    if sys.platform == "linux":
        _give_up_rights(abilities, file_rules, execute_at)


def close_others(kept: int) -> None:
    """Close all descriptors but the standard streams and `kept`."""
    os.closerange(3, kept)
    os.closerange(kept + 1, _MOST_DESCRIPTORS)


if sys.platform == "linux":

    def _give_up_rights(abilities: Abilities, file_rules: int | None, execute_at: int | None) -> None:
        """Give up capabilities, files and system calls."""
        linux.drop_capabilities()
        linux.set_no_new_privileges()
        guards_sizes = file_rules is not None and not landlock.guards_truncation()
        if file_rules is not None:
            landlock.apply_ruleset(file_rules)
        if abilities.system_call_filter:
            seccomp.restrict_system_calls(os.getpid(), execute_at=execute_at, deny_truncation=guards_sizes)

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
