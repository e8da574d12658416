"""Landlock: an unprivileged process gives up all files but those it names (Linux 5.13).

It is what makes the file system read-only where there are no namespaces. A process under Landlock can also no longer
trace processes outside, nor read their memory through /proc, and from version 6 on it cannot send them signals.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from pytest_qeval.execution.linux import landlock_add_path, landlock_create, landlock_restrict, landlock_version

__all__ = ["apply_ruleset", "build_ruleset", "is_supported"]

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_READ_ONE = _EXECUTE | _READ_FILE
# How many of the file rights, network rights and scopes each version brought: (version, bits).
_FILE_BITS = ((1, 13), (2, 14), (3, 15), (5, 16))
_NETWORK_BITS = ((4, 2),)
_SCOPE_BITS = ((6, 2),)
_ATTRIBUTE_SIZES = ((1, 8), (4, 16), (6, 24))


def is_supported() -> bool:
    """Return whether this kernel has Landlock and it is switched on."""
    return landlock_version() > 0


def build_ruleset(readable: Iterable[str], hidden: Collection[str], writable: Iterable[str]) -> int:
    """Return a descriptor of rules that leave nothing but `readable` without `hidden`, and `writable`.

    Built once and applied by many processes: with a thousand files beside a hidden directory it is not cheap.
    """
    version = landlock_version()
    rights = _mask(version, _FILE_BITS)
    ruleset = landlock_create(
        access_fs=rights,
        access_net=_mask(version, _NETWORK_BITS),
        scoped=_mask(version, _SCOPE_BITS),
        size=_latest(version, _ATTRIBUTE_SIZES),
    )
    for path in {os.path.realpath(path) for path in readable}:
        for below, access in _rules_around(path, hidden):
            landlock_add_path(ruleset, below, access)
    for path in writable:
        landlock_add_path(ruleset, path, rights if os.path.isdir(path) else _READ_FILE | _WRITE_FILE)  # noqa: PTH112
    return ruleset


def apply_ruleset(ruleset: int) -> None:
    """Put the calling process and its descendants under the rules, for ever."""
    landlock_restrict(ruleset)


def _rules_around(path: str, hidden: Collection[str]) -> Iterator[tuple[str, int]]:
    """Return what has to be allowed so that the real `path` is readable, but for what is hidden inside."""
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
