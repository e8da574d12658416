"""Turn a confined solver into Node.js, which runs `solver.js` instead of `solver.py`."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import NoReturn

from pytest_qeval.execution.confinement import Abilities, Profile, close_others, confine

if sys.platform == "linux":
    from pytest_qeval.execution import linux

RESERVED_BYTES = 2 * 2**30
"""Address space that V8 reserves and does not use: 0.7 GiB at the start, and stacks of its threads."""

_SCRIPT = Path(__file__).with_name("solver.js")
_SEED = 1


def become_node(profile: Profile, abilities: Abilities, file_rules: int | None, channel: int) -> NoReturn:
    """Confine the calling process and have it serve the judge on the descriptor `channel` as Node.js.

    Raises:
        OSError: when the process cannot be confined, or Node.js not be started.
    """
    path = ctypes.create_string_buffer(os.fsencode(profile.node))
    confine(profile, abilities, file_rules, execute_at=ctypes.addressof(path))
    close_others(channel)
    os.set_inheritable(channel, True)  # noqa: FBT003
    options = (
        f"--max-old-space-size={profile.limits.memory_bytes // 2**20}",
        f"--random-seed={_SEED}",  # verdicts must be reproducible
        "--openssl-config=/dev/null",  # the system's may be hidden, and Node.js not start without it
        "--no-addons",  # machine code would get around the limits of V8
        "--no-warnings",
    )
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR")}
    arguments = [profile.node, *options, str(_SCRIPT), str(channel)]
    if sys.platform == "linux":  # the filter of system calls knows where the path lies
        linux.execute(path, arguments, environment)
    else:
        os.execve(profile.node, arguments, environment)  # noqa: S606
    raise AssertionError("execve returned")  # pragma: no cover
