"""Take everything away from a process but what a program needs; called in the solver before it sees any of the program.

Several layers forbid the same things on purpose. Which ones exist depends on the machine: `Abilities` says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass

from pytest_qeval.execution import landlock, linux, seccomp
from pytest_qeval.execution.limits import Limits
from pytest_qeval.execution.namespace import DEVICES

__all__ = ["Abilities", "Profile", "confine", "enter_process_tree", "leave_process_tree", "prepare_file_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the plugin tells a worker when it starts."""

    isolation: str
    """`bwrap`, `namespace` or `process`."""
    scratch: str
    """Where programs have their temporary directory."""
    readable: tuple[str, ...]
    """Files and directories that programs may read."""
    hidden: tuple[str, ...]
    """Directories below them that programs see empty: benchmarks and their answers."""
    import_paths: tuple[str, ...]
    """Directories of installed packages that programs may import."""
    limits: Limits

    def to_json(self) -> str:
        """Return the form that fits on a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """Read what `to_json` gave."""
        row = json.loads(text)
        return cls(**{**row, "limits": Limits(**row["limits"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """Which layers this machine offers to a worker."""

    nested: bool
    """Each program gets a process tree, an IPC namespace and a file system for temporary files of its own."""
    system_call_filter: bool
    landlock: bool

    @classmethod
    def probe(cls, isolation: str) -> Abilities:
        """Find out by trying."""
        return cls(
            nested=isolation != "process" and _can_nest(),
            system_call_filter=seccomp.is_supported() and _survives(_try_filter),
            landlock=landlock.is_supported(),
        )

    def to_dict(self) -> dict[str, bool]:
        """Return plain values, to be sent to the plugin."""
        return asdict(self)


def prepare_file_rules(profile: Profile, abilities: Abilities) -> int | None:
    """Return the descriptor of rules about files, where nothing but rules can guard them."""
    if profile.isolation != "process" or not abilities.landlock:
        return None
    readable = [path for path in (*profile.readable, *DEVICES) if os.path.exists(path)]  # noqa: PTH110
    return landlock.build_ruleset(readable, profile.hidden, (profile.scratch, "/dev/null"))


def confine(profile: Profile, abilities: Abilities, file_rules: int | None) -> None:
    """Confine the calling process, for ever, and change into its empty temporary directory."""
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
        seccomp.restrict_system_calls(os.getpid())


def enter_process_tree() -> int:
    """Let the next child be the first process of a new tree; give what `leave_process_tree` needs."""
    own = os.pidfd_open(os.getpid())
    linux.unshare(linux.CLONE_NEWPID)
    return own


def leave_process_tree(own: int) -> None:
    """Let later children be born in the caller's own tree again."""
    linux.setns(own, linux.CLONE_NEWPID)
    os.close(own)


def _can_nest() -> bool:
    try:
        leave_process_tree(enter_process_tree())
    except OSError:
        return False
    return True


def _try_filter() -> None:
    linux.set_no_new_privileges()
    seccomp.restrict_system_calls(os.getpid())
    os.kill(os.getpid(), 0)


def _survives(trial: Callable[[], None]) -> bool:
    """Return whether `trial` returns in a child process."""
    pid = os.fork()
    if pid == 0:
        try:
            trial()
        except BaseException:  # noqa: BLE001 - the child must not return into its parent's code
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0
