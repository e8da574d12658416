"""Choose the strongest isolation that works on this machine, or refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.client import try_isolation
from pytest_qeval.execution.launch import ISOLATIONS, Isolation
from pytest_qeval.settings import IsolationName

__all__ = ["choose_isolation"]


def choose_isolation(name: IsolationName, start: Callable[[Isolation], str | None] = try_isolation) -> Isolation:
    """Return the isolation of this name, after it was seen to work; `auto` is the strongest that works.

    Args:
        name: what the user asked for. `process` is never chosen by `auto`.
        start: starts a worker and gives the reason why it cannot be used, or None.

    Raises:
        SandboxError: when it does not work here; the message says why and what can be done.
    """
    candidates = ("bwrap", "namespace") if name == "auto" else (name,)
    reasons = []
    for candidate in candidates:
        reason = "Linux is needed" if sys.platform != "linux" else start(ISOLATIONS[candidate])
        if reason is None:
            return ISOLATIONS[candidate]
        reasons.append(f"  {candidate}: {reason}")
    advice = (
        "Programs written by a model are not run without protection. Install bubblewrap or allow unprivileged user "
        "namespaces; inside a container or on a machine that you can throw away, --qeval-sandbox process accepts plain "
        "process limits."
    )
    if name == "process":
        advice = "Run the evaluation on Linux, with a Python that can be started as a plain subprocess."
    raise SandboxError("\n".join(["No sandbox can be started:", *reasons, advice]))
