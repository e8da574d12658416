"""Choose the strongest isolation that works on this machine, or refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.client import WorkerClient, WorkerLostError
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings, IsolationName

_PROBE = Program(prelude="", code="def f(): return 1", test="def check(f): assert f() == 1", entry_point="f")


def try_isolation(isolation: IsolationName) -> str | None:
    """Execute a trivial program; return the reason why that does not work, or None."""
    try:
        with closing(WorkerClient(isolation, ExecutionSettings())) as client:
            execution = client.run(_PROBE)
    except WorkerLostError as error:
        return str(error)
    return None if execution.status == "passed" else f"a program that must pass: {execution.status} {execution.detail}"


def choose_isolation(
    name: IsolationName, probe: Callable[[IsolationName], str | None] = try_isolation
) -> IsolationName:
    """Return an isolation for which `probe` gives no reason against it; `auto` is the strongest, but never `process`.

    Raises:
        SandboxError: when none works; the message has the reasons and the remedies.
    """
    candidates: tuple[IsolationName, ...] = ("bwrap", "namespace") if name == "auto" else (name,)
    reasons = []
    for candidate in candidates:
        reason = "Linux is needed" if sys.platform != "linux" else probe(candidate)
        if reason is None:
            return candidate
        reasons.append(f"  {candidate}: {reason}")
    advice = (
        "Programs written by a model are not run without protection. Install bubblewrap or allow unprivileged user "
        "namespaces; inside a container or on a machine that you can throw away, --qeval-sandbox process accepts plain "
        "process limits."
    )
    if name == "process":
        advice = "Run the evaluation on Linux, with a Python that can be started as a plain subprocess."
    raise SandboxError("\n".join(["No sandbox can be started:", *reasons, advice]))
