"""What a reporter is: an object of the registry that writes files of its own about a finished run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_qeval.records.collector import Collector
from pytest_qeval.report.json import report_dict
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.summary.results import GateResult, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResults:
    """A finished run, as a reporter gets it."""

    summary: Summary
    """Everything that was concluded, as typed values."""
    gates: tuple[GateResult, ...]
    """The gates, judged."""
    planned: Sequence[tuple[str, Case]]
    """Recipe and case of everything that was expected, in the plan's order; what has no record is missing."""
    records: Mapping[tuple[str, Case], Record]
    """Completions and executions, by recipe and case."""

    @classmethod
    def of(
        cls,
        collected: Collector,
        planned: Iterable[tuple[str, Case]],
        summary: Summary,
        gates: tuple[GateResult, ...],
    ) -> RunResults:
        """Put together what was concluded and what that was concluded from."""
        expected = list(collected.expected_cases(planned))
        return cls(summary=summary, gates=gates, planned=expected, records=collected.records)

    @property
    def report(self) -> Json:
        """The content of `report.json`, as `report/schema.json` describes it."""
        return report_dict(self.summary, self.gates)


class Reporter(Protocol):
    """Writes something about a finished run; found by an entry point of the group `pytest_qeval.reporters`."""

    @property
    def name(self) -> str:
        """The name of the entry point."""

    @property
    def summary(self) -> str:
        """What it writes, in one line, for `--qeval-list reporters`."""

    def write(self, results: RunResults, folder: Path) -> None:
        """Write files into the folder of the run's reports.

        Whatever this raises becomes a warning that names the reporter.
        """
