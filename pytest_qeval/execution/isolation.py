"""Choose the strongest isolation that works on this machine, or refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.client import WorkerClient, WorkerLostError
from pytest_qeval.schema import Program
from pytest_qeval.settings import SANDBOX_GAPS, ExecutionSettings, IsolationName

STRONGEST_FIRST: tuple[IsolationName, ...] = ("bwrap", "namespace", "landlock")
"""What `auto` tries."""

_PROBE = Program(prelude="", code="def f(): return 1", test="def check(f): assert f() == 1", entry_point="f")


def try_isolation(isolation: IsolationName) -> str | None:
    """Execute a trivial program; return the reason why that does not work, or None."""
    if isolation != "process" and sys.platform != "linux":
        return "Linux is needed"
    try:
        with closing(WorkerClient(isolation, ExecutionSettings())) as client:
            execution = client.run(_PROBE)
    except (WorkerLostError, SandboxError) as error:
        return str(error)
    return None if execution.status == "passed" else f"a program that must pass: {execution.status} {execution.detail}"


def choose_isolation(
    name: IsolationName, probe: Callable[[IsolationName], str | None] = try_isolation
) -> IsolationName:
    """Return an isolation for which `probe` gives no reason against it; `auto` is the strongest, but never `process`.

    Raises:
        SandboxError: when none works; the message has the reasons and the remedies.
    """
    reasons = []
    for candidate in STRONGEST_FIRST if name == "auto" else (name,):
        reason = probe(candidate)
        if reason is None:
            return candidate
        reasons.append(f"  {candidate}: {reason}")
    raise SandboxError("\n".join(["No sandbox can be started:", *reasons, _advice(name)]))


def _advice(name: IsolationName) -> str:
    """Return the remedies where the isolation `name` does not work."""
    if name == "process":
        return "Run the evaluation on Linux or another POSIX system, with a Python that can be started as a subprocess."
    remedy = (
        "Install bubblewrap, allow unprivileged user namespaces, or use a kernel with Landlock (Linux 5.13)"
        if sys.platform == "linux"
        else "Run the evaluation in a container (docs/containers.md)"
    )
    return (
        f"Programs written by a model are not run without protection. {remedy}. Inside a container or on a machine "
        f"that you can throw away, --qeval-sandbox process accepts less: {SANDBOX_GAPS['process']}."
    )
