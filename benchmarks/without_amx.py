"""Run a command as on a processor without AMX: a simulation, on a processor that has it.

    python benchmarks/without_amx.py COMMAND [ARGUMENT ...]

AMX tiles need the kernel's permission, which oneDNN, MKL and llama.cpp each ask for and do without. A filter of system
calls, which children inherit, refuses it: an AMX instruction that is executed anyway ends the process. oneDNN alone can
be limited by its own variable, but scaled dot product attention then goes to MKL, whose products use AMX as well
(torch 2.13, MKL 2024.0). So both are limited to AVX-512 with VNNI and bfloat16, which is what AMD's Zen 4 has.
Frequencies, caches and the rest of the processor are what they are: no figure of this is one of another processor.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

LIMITS: Mapping[str, str] = {
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16",
    "MKL_ENABLE_INSTRUCTIONS": "AVX512_E3",  # VNNI and bfloat16; E4 is the first with AMX
}
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2  # prctl
_X86_64, _ARCH_PRCTL, _REQUEST_PERMISSION = 0xC000003E, 158, 0x1023
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # of the classic BPF machine
_ALLOW, _EINVAL = 0x7FFF0000, 0x00050016
_FILTER_CODE = (  # instruction, steps ahead if equal, if not, operand (an offset in `struct seccomp_data` for a load)
    (_LOAD, 0, 0, 4),
    (_IF_EQUAL, 0, 5, _X86_64),
    (_LOAD, 0, 0, 0),
    (_IF_EQUAL, 0, 3, _ARCH_PRCTL),
    (_LOAD, 0, 0, 16),
    (_IF_EQUAL, 0, 1, _REQUEST_PERMISSION),
    (_RETURN, 0, 0, _EINVAL),
    (_RETURN, 0, 0, _ALLOW),
)


def refuse_amx() -> None:
    """Refuse the permission for AMX tiles to this process and all that it starts.

    Raises:
        OSError: when the kernel does not take the filter.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in _FILTER_CODE))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(_FILTER_CODE), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_ulong(0)
    for call in (
        (_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), nothing, nothing, nothing),
        (_SET_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.byref(program), nothing, nothing),
    ):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "The kernel does not take a filter of system calls.")


def cpu_flags() -> frozenset[str]:
    """Return the flags of the processor; none where /proc/cpuinfo is none of x86."""
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    return frozenset(next((line.split()[2:] for line in lines if line.startswith("flags")), ()))


def main() -> None:
    """Replace this process by the command."""
    if len(sys.argv) == 1:
        raise SystemExit(__doc__)
    refuse_amx()
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, **LIMITS})  # noqa: S606 # the user's own command


if __name__ == "__main__":
    main()
