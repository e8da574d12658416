"""What a controller hands to its workers, on this machine and on another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.hooks import handed
from pytest_qeval.hooks.handed import Handed, handed_to
from tests.unit.hooks.fake_config import FakeConfig

PROMPT = {"prompt_style": "chat", "prompt_reason": "it has a template"}
SETTLED = {"n_workers": 2, "dist": "load", "suites": ("micro",), "commits": ("a1",), **PROMPT}


def test_a_worker_of_this_machine_reads_the_same_files(tmp_path: Path) -> None:
    given = Handed(folder=str(tmp_path), place=1, memory_bytes=500, baseline="/b.json.gz", **SETTLED)  # type: ignore[arg-type]

    found = received(given)

    assert found == given
    settled = found.settled()
    assert (settled.memory_bytes, settled.place, settled.prompt.style) == (500, 1, "chat")
    assert found.resumed() is None


def test_a_worker_of_another_machine_gets_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their contents, of the journal as much as the controller has read; and nothing stays there."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    baseline, journal = here / "base.json.gz", here / "records.jsonl"
    baseline.write_bytes(b"baseline")
    journal.write_bytes(b"whole line\ntorn")
    given = Handed(
        folder=str(here / "qeval-x"),
        place=1,
        memory_bytes=500,
        baseline=str(baseline),
        journal=str(journal),
        journal_bytes=11,
        **SETTLED,  # type: ignore[arg-type]
    ).for_another_machine()
    baseline.unlink()
    journal.unlink()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    monkeypatch.setattr(handed, "available_memory_bytes", lambda: 3000)
    config = FakeConfig()

    found = received(given, config)

    assert found.baseline is not None
    assert found.journal is not None
    assert Path(found.baseline).read_bytes() == b"baseline"
    assert Path(found.journal).read_bytes() == b"whole line\n"
    assert Path(found.folder) == there / "qeval-x"
    assert found.settled().memory_bytes == 1500  # of the worker's own machine
    config.clean_up()
    assert list(there.iterdir()) == []


def test_outside_of_workers_nothing_is_handed_over() -> None:
    config: Any = SimpleNamespace(stash=pytest.Stash())
    assert handed_to(config) is None


def received(given: Handed, config: FakeConfig | None = None) -> Handed:
    """Return what a worker reads of it."""
    config = config or FakeConfig()
    given.hand_to(config.workerinput)
    as_config: Any = config
    found = handed_to(as_config)
    assert found is not None
    assert handed_to(as_config) is found  # once
    return found
