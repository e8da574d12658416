"""Filter the system calls of a solver: it may compute, read files, write its own files and start threads.

The filter forbids starting processes (so no descendant outlives a program, and a fork bomb is one failed call, also for
root, whom RLIMIT_NPROC does not bind), the network, signals and tracing beyond the process itself, and rarely used
parts of the kernel that sandboxes were broken with. It lists what is forbidden, not what is allowed, since honest
programs may import any library. Calls newer than the list fail with "no such call".
"""

from __future__ import annotations

import ctypes
import errno
import platform
from typing import NamedTuple

from pytest_qeval.execution.linux import prctl

_AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NEWEST_KNOWN = 462  # mseal, Linux 6.10
# They keep their flags in memory, where a filter cannot look; the C library uses older calls where they are missing.
_FLAGS_IN_MEMORY = (435, 437)  # clone3, openat2
_TRUNCATE = (76, 45)

# name: number on x86_64 and on aarch64 (None: the call does not exist there)
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "setsid": (112, 157),
    "setpgid": (109, 154),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "setpriority": (141, 140), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239),
    # network, and what outlives a program
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "mq_unlink": (241, 181), "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # properties of files that neither Landlock nor a read-only directory guards
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mknod": (133, None), "mknodat": (259, 33),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # the machine
    "bpf": (321, 280), "perf_event_open": (298, 241), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "userfaultfd": (323, 282), "fanotify_init": (300, 262), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "syslog": (103, 116),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "personality": (135, 92), "iopl": (172, None),
    "ioperm": (173, None), "modify_ldt": (154, None),
}  # fmt: skip


class _CallRule(NamedTuple):
    """A call that is allowed or denied by the value of one argument."""

    numbers: tuple[int | None, int | None]
    argument: int
    mask: int
    values: tuple[int, ...]
    allow: bool
    """Whether the values are the allowed ones, or the denied ones."""


_ANY_BITS = 0xFFFFFFFF
_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020000
_SOCK_TYPE_MASK, _SOCK_STREAM = 0xF, 1
_ACCESS_MODE, _TRUNCATING = 0o3, 0o1000  # of open
_PR_SET_PDEATHSIG = 1
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _FIOSETOWN, _SIOCSPGRP = 8, 10, 15, 0x8901, 0x8902

# Instructions of classic BPF as (code, jump if true, jump if false, operand).
_Instruction = tuple[int, int, int, int]
_LOAD, _AND, _EQUAL, _GREATER, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


class _SockFilter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _SockProgram(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_SockFilter))]


def is_supported() -> bool:
    """Return whether the system call numbers of this machine are known."""
    return platform.machine() in _AUDIT_ARCHITECTURES


def restrict_system_calls(pid: int, *, execute_at: int | None = None, deny_truncation: bool = False) -> None:
    """Put the calling process, whose id is `pid`, under the filter; this cannot be undone.

    `set_no_new_privileges` must have been called. With `execute_at`, the address of a path, the process can still
    become the program of that path; that has other addresses, so it cannot do the same again. With
    `deny_truncation` no file can be truncated by its path, which Landlock does not guard before version 3.
    """
    instructions = _build_filter(platform.machine(), pid, execute_at, deny_truncation=deny_truncation)
    program = (_SockFilter * len(instructions))(*(_SockFilter(*instruction) for instruction in instructions))
    prctl("SECCOMP", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(_SockProgram(len(instructions), program)))


def _build_filter(
    machine: str, pid: int, execute_at: int | None, *, deny_truncation: bool = False
) -> list[_Instruction]:
    """Return the BPF program for the process `pid`, which may signal and limit only itself."""
    column = list(_AUDIT_ARCHITECTURES).index(machine)
    program = [
        (_LOAD, 0, 0, _OFFSET_ARCHITECTURE),
        (_EQUAL, 1, 0, _AUDIT_ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_GREATER, 0, 1, _NEWEST_KNOWN),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for unreadable in _FLAGS_IN_MEMORY:
        program += [(_EQUAL, 0, 1, unreadable), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    denied = {**_DENIED, "truncate": _TRUNCATE} if deny_truncation else _DENIED
    for name, numbers in denied.items():
        number = numbers[column]
        if number is not None and (name != "execve" or execute_at is None):
            program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    for rule in (*_rules(pid), *([] if execute_at is None else [_execute_rule(execute_at)])):
        number = rule.numbers[column]
        program += [] if number is None else _rule_block(rule, number)
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _rules(pid: int) -> tuple[_CallRule, ...]:
    thread_only = _CLONE_THREAD | _CLONE_NAMESPACES
    emptying = (_TRUNCATING, _TRUNCATING | _ACCESS_MODE)
    return (
        # a file that is opened for reading must not be emptied by that
        _CallRule((2, None), 1, _TRUNCATING | _ACCESS_MODE, emptying, allow=False),  # open
        _CallRule((257, 56), 2, _TRUNCATING | _ACCESS_MODE, emptying, allow=False),  # openat
        _CallRule((56, 220), 0, thread_only, (_CLONE_THREAD,), allow=True),  # clone
        _CallRule((62, 129), 0, _ANY_BITS, (pid,), allow=True),  # kill
        _CallRule((234, 131), 0, _ANY_BITS, (pid,), allow=True),  # tgkill
        _CallRule((302, 261), 0, _ANY_BITS, (0, pid), allow=True),  # prlimit64
        # asyncio needs a stream pair; a datagram pair could send to any named socket
        _CallRule((53, 199), 1, _SOCK_TYPE_MASK, (_SOCK_STREAM,), allow=True),  # socketpair
        # a descriptor's owner is sent signals: a way to kill another process of the same user
        _CallRule((72, 25), 1, _ANY_BITS, (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX), allow=False),  # fcntl
        _CallRule((157, 167), 0, _ANY_BITS, (_PR_SET_PDEATHSIG,), allow=False),  # prctl: a solver dies with its worker
        _CallRule((16, 29), 1, _ANY_BITS, (_FIOSETOWN, _SIOCSPGRP), allow=False),  # ioctl
    )


def _execute_rule(address: int) -> _CallRule:
    return _CallRule((59, 221), 0, _ANY_BITS, (address & _ANY_BITS,), allow=True)


def _rule_block(rule: _CallRule, number: int) -> list[_Instruction]:
    """Return instructions that decide about call `number` and fall through for every other call."""
    match, other = _ALLOW, _ERRNO | errno.EPERM
    if not rule.allow:
        match, other = other, match
    n = len(rule.values)
    block = [
        (_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * rule.argument),  # the low half: both machines are little-endian
        (_AND, 0, 0, rule.mask),
        *((_EQUAL, n - index, 0, value) for index, value in enumerate(rule.values)),
        (_RETURN, 0, 0, other),
        (_RETURN, 0, 0, match),
    ]
    return [(_EQUAL, 0, len(block), number), *block]
