"""What goes wrong around a run costs at most the cases in flight: docs/faults.md has the table of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.full_disk import CONFTEST
from tests.plugin.runs import REPLAY, read_records, read_report

Run = Callable[..., pytest.RunResult]


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_full_disk_ends_the_run_and_it_goes_on(
    run: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]
) -> None:
    """One sentence, status 2, and the finished cases are on the disk; with room, the rest is evaluated."""
    asked = (*mode, *REPLAY, str(samples), "--qeval-output", "out")
    pytester.makeconftest(CONFTEST)
    result = run(*asked)
    output = str(result.stdout)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in f"{output}{result.stderr}"
    result.stdout.fnmatch_lines(
        [
            "*verdict: interrupted, 4 of 8 cases finished*",
            "*records.jsonl cannot be written: *Make room*",
            "go on with:*",
        ]
    )
    kept = read_records(pytester.path / "out")
    assert len(kept) == 4

    pytester.makeconftest("")
    assert run(*asked, "--qeval-resume").ret == pytest.ExitCode.OK
    assert read_records(pytester.path / "out")[: len(kept)] == kept
    assert read_report(pytester.path / "out")["run"]["received"] == 8
