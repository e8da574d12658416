"""Linux system calls that Python 3.10's standard library lacks, called through ctypes."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping, Sequence

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
ALL_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET

_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_MOUNT_ATTRIBUTES = {"readonly": 0x1, "nosuid": 0x2, "nodev": 0x4}
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_MOUNT_SETATTR = 442  # numbers above 423 are the same on every architecture
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def _check(result: int, call: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
    return result


def syscall(number: int, call: str, *arguments: object) -> int:
    """Make a system call by its number; `call` is its name for the error message.

    Raises:
        OSError: when the call fails.
    """
    # Widened to the register size: ctypes would pass plain ints as 32 bits and leave the upper half undefined.
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _check(_libc.syscall(ctypes.c_long(number), *wide), call)


def prctl(call: str, option: int, value: int, pointer: object = None) -> None:
    """Make the system call prctl; `call` is the option's name for the error message."""
    zero = ctypes.c_ulong(0)
    third = zero if pointer is None else pointer
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), third, zero, zero), f"prctl({call})")


def set_death_signal(signal: int) -> None:
    """Receive `signal` when the thread that created this process ends."""
    prctl("PDEATHSIG", _PR_SET_PDEATHSIG, signal)


def set_undumpable() -> None:
    """Forbid other processes of this user to trace this one or to read its memory."""
    prctl("DUMPABLE", _PR_SET_DUMPABLE, 0)


def set_child_subreaper() -> None:
    """Become the parent of orphaned descendants, so that they can be found and killed."""
    prctl("CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, 1)


def set_no_new_privileges() -> None:
    """Disable set-user-id programs; this cannot be undone."""
    prctl("NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Clear the effective, permitted and inheritable capabilities."""
    header = _CapHeader(_LINUX_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def execute(path: ctypes.Array[ctypes.c_char], arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Replace the program of this process by the one at `path`, a buffer whose address a filter may know."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    _check(_libc.execve(path, _texts(arguments), _texts(variables)), "execve")


def _texts(values: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    """Return an array of C strings that ends with a null pointer."""
    return (ctypes.c_char_p * (len(values) + 1))(*map(os.fsencode, values), None)


def unshare(flags: int) -> None:
    """Leave the namespaces in `flags` for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, flags: int) -> None:
    """Enter the namespaces in `flags` of the process behind the pidfd `fd`."""
    _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)), "setns")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = _libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])
    _check(result, f"mount {target}")


def make_private(target: str) -> None:
    """Keep mounts below `target` from spreading to other mount namespaces."""
    _mount(None, target, None, _MS_REC | _MS_PRIVATE, None)


def mount_tmpfs(target: str, size_bytes: int) -> None:
    """Mount an empty file system in memory, bounded in bytes and (one per 16 KiB) in files."""
    options = f"size={size_bytes},nr_inodes={max(64, size_bytes // 2**14)},mode=0700"
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def bind(source: str, target: str) -> None:
    """Make the tree at `source` appear at `target` too."""
    _mount(source, target, None, _MS_BIND | _MS_REC, None)


def restrict_mount(target: str, *names: str) -> None:
    """Set `readonly`, `nosuid` or `nodev` on every mount at and below `target` (Linux 5.12)."""
    attributes = _MountAttr(attr_set=sum(_MOUNT_ATTRIBUTES[name] for name in names))
    size = ctypes.sizeof(attributes)
    path = ctypes.c_char_p(os.fsencode(target))
    syscall(_MOUNT_SETATTR, "mount_setattr", _AT_FDCWD, path, _AT_RECURSIVE, ctypes.byref(attributes), size)


def pivot_root(new_root: str) -> None:
    """Make `new_root` the root directory and detach the old one."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(f"pivot_root has no known number on {platform.machine()}")
    os.chdir(new_root)
    here = ctypes.c_char_p(b".")
    syscall(number, "pivot_root", here, here)
    _check(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")
