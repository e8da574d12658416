"""What goes wrong around a run costs at most the cases in flight: docs/faults.md has the table of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.full_disk import CONFTEST
from tests.plugin.runs import REPLAY, read_journal, read_records, read_report

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


JUMPING = """
import itertools, time

real, turns = time.time, itertools.count()

def pytest_configure():
    time.time = lambda: real() + 86400 * (-1) ** next(turns)

def pytest_unconfigure():
    time.time = real
"""


def test_a_clock_that_jumps_gives_no_negative_duration(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A day back and forth at every look: durations and the time left come from a clock that only goes forward."""
    pytester.makeconftest(JUMPING)
    result = run(*REPLAY, str(samples), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    rows = [*read_journal(pytester.path / "out"), read_report(pytester.path / "out")]
    durations = [value for row in rows for value in _durations(row)]
    assert len(durations) > 8
    assert all(0 <= value < 3600 for value in durations)


def _durations(value: object) -> Iterator[float]:
    """Yield the fields of decoded JSON that are seconds of a duration."""
    for name, one in value.items() if isinstance(value, dict) else ():
        if name in {"duration_s", "wall_s", "bucket_s"} and one is not None:
            yield one
        else:
            yield from _durations(one)
    for one in value if isinstance(value, list) else ():
        yield from _durations(one)
