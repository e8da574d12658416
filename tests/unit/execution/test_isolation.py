"""The choice of an isolation, and its refusal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution import launch
from pytest_qeval.execution.isolation import choose_isolation, try_isolation
from pytest_qeval.settings import SANDBOX_GAPS, IsolationName


class _Prober:
    """A probe that knows which isolations work, and records which were tried."""

    def __init__(self, *working: str) -> None:
        self.working = working
        self.tried: list[str] = []

    def __call__(self, isolation: IsolationName) -> str | None:
        self.tried.append(isolation)
        return None if isolation in self.working else f"{isolation} is broken"


@pytest.mark.parametrize(
    ("working", "chosen", "tried"),
    [
        (("bwrap", "namespace", "process"), "bwrap", ["bwrap"]),
        (("namespace", "process"), "namespace", ["bwrap", "namespace"]),
        (("landlock", "process"), "landlock", ["bwrap", "namespace", "landlock"]),
    ],
)
def test_auto_takes_the_strongest_that_works(working: tuple[str, ...], chosen: str, tried: list[str]) -> None:
    """Bubblewrap comes before our own namespaces, these before Landlock; the search ends at the first that works."""
    prober = _Prober(*working)
    assert choose_isolation("auto", prober) == chosen
    assert prober.tried == tried


def test_auto_never_falls_back_to_plain_processes() -> None:
    """The refusal has the reason of each isolation and names the option that accepts less."""
    prober = _Prober("process")
    with pytest.raises(SandboxError) as caught:
        choose_isolation("auto", prober)
    assert prober.tried == ["bwrap", "namespace", "landlock"]
    for expected in ("bwrap is broken", "namespace is broken", "landlock is broken", "--qeval-sandbox process"):
        assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["bwrap", "namespace", "landlock"])
def test_a_named_isolation_has_no_substitute(name: IsolationName) -> None:
    """A named isolation is used or refused."""
    with pytest.raises(SandboxError, match="--qeval-sandbox process"):
        choose_isolation(name, _Prober("process"))


def test_process_is_used_when_asked_for() -> None:
    """`process` must be named to be used."""
    assert choose_isolation("process", _Prober("process")) == "process"


def test_bubblewrap_that_is_not_installed_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says that bubblewrap is missing."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SandboxError, match="bwrap is not installed"):
        choose_isolation("bwrap")


def test_the_reason_of_a_worker_that_cannot_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line that a worker printed before it ended becomes the reason."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(SandboxError, match="no such luck"):
        choose_isolation("process")


@pytest.mark.parametrize("name", ["auto", "bwrap", "namespace", "landlock"])
def test_other_systems_have_plain_processes_only(name: IsolationName, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names a container, and what `process` does not stop."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="Linux is needed") as caught:
        choose_isolation(name)
    assert "docs/containers.md" in str(caught.value)
    assert SANDBOX_GAPS["process"] in str(caught.value)


def test_a_kernel_without_landlock_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level promises it, while `process` does without."""
    start = "from pytest_qeval.execution import landlock; landlock.landlock_version = lambda: 0; from pytest_qeval"
    monkeypatch.setattr(launch, "_START", launch._START.replace("from pytest_qeval", start, 1))
    assert try_isolation("landlock") == "this kernel has no Landlock, or it is switched off"
    assert try_isolation("process") is None
