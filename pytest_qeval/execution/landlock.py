"""Landlock: an unprivileged process gives up all files but those that a rule set names (Linux 5.13).

It makes the file system read-only where there are no namespaces. A process under Landlock can also no longer trace
outside processes or read their memory through /proc, and from version 6 on it cannot send them signals.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Iterable, Iterator

from pytest_qeval.execution.linux import syscall

# Numbers above 423 are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_READ_ONE = _EXECUTE | _READ_FILE
# How many of the file rights, network rights and scopes each version has: (version, bits).
_FILE_BITS = ((1, 13), (2, 14), (3, 15), (5, 16))
_NETWORK_BITS = ((4, 2),)
_SCOPE_BITS = ((6, 2),)
_TRUNCATION_VERSION = 3
_ATTRIBUTE_SIZES = ((1, 8), (4, 16), (6, 24))


class _RulesetAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("access_fs", "access_net", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # implied by _pack_; Python 3.14 wants it written
    _fields_ = [("access", ctypes.c_uint64), ("fd", ctypes.c_int32)]


def landlock_version() -> int:
    """Return the kernel's Landlock version, 0 where Landlock is missing or switched off."""
    try:
        return syscall(_CREATE_RULESET, "landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def guards_truncation() -> bool:
    """Return whether a file that may not be written to can also not be truncated by its path (Linux 6.2)."""
    return landlock_version() >= _TRUNCATION_VERSION


def build_ruleset(readable: Iterable[str], hidden: Collection[str], writable: Iterable[str]) -> int:
    """Return the descriptor of rules that allow only `readable` without `hidden`, and `writable`.

    Built once and applied by many processes: with a thousand files beside a hidden directory it is not cheap.
    """
    version = landlock_version()
    rights = _mask(version, _FILE_BITS)
    attributes = _RulesetAttr(rights, _mask(version, _NETWORK_BITS), _mask(version, _SCOPE_BITS))
    size = _latest(version, _ATTRIBUTE_SIZES)
    ruleset = syscall(_CREATE_RULESET, "landlock_create_ruleset", ctypes.byref(attributes), size, 0)
    for path in {os.path.realpath(path) for path in readable}:
        for below, access in _rules_around(path, hidden):
            _allow(ruleset, below, access)
    for path in writable:
        _allow(ruleset, path, rights if os.path.isdir(path) else _READ_FILE | _WRITE_FILE)  # noqa: PTH112
    return ruleset


def apply_ruleset(ruleset: int) -> None:
    """Put the calling process and its descendants under the rules; this cannot be undone."""
    syscall(_RESTRICT_SELF, "landlock_restrict_self", ruleset, 0)


def _allow(ruleset: int, path: str, access: int) -> None:
    """Allow `access` at and below `path`."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access, fd)
        syscall(_ADD_RULE, f"landlock_add_rule {path}", ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(fd)


def _rules_around(path: str, hidden: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield the rules that make the real `path` readable, except for hidden directories inside it."""
    if path in hidden:
        return
    if not os.path.isdir(path):  # noqa: PTH112
        yield path, _READ_ONE
    elif not _holds(path, hidden):
        yield path, _READ
    else:
        yield path, _READ_DIR  # rules hold for everything below: names can be listed, also the hidden ones
        for entry in os.scandir(path):
            target = os.path.realpath(entry.path)
            if not entry.is_symlink():
                yield from _rules_around(target, hidden)
            elif os.path.exists(target) and target not in hidden and not _holds(target, hidden):  # noqa: PTH110
                yield from _rules_around(target, ())  # `lib64 -> lib` must not open what `lib` keeps closed


def _holds(path: str, hidden: Collection[str]) -> bool:
    return any(other.startswith(f"{path}/") for other in hidden)


def _latest(version: int, table: tuple[tuple[int, int], ...]) -> int:
    return next((value for since, value in reversed(table) if version >= since), 0)


def _mask(version: int, table: tuple[tuple[int, int], ...]) -> int:
    return (1 << _latest(version, table)) - 1
