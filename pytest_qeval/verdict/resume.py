"""A run that was cut short and goes on: what its journal holds, and whether this run is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pytest_qeval.errors import UsageError, counted
from pytest_qeval.facts import BenchmarkFacts, InvalidCase, RecipeFacts, RunHeader
from pytest_qeval.records.collector import Collector
from pytest_qeval.records.journal import check_unlocked, read_journal, whole_lines
from pytest_qeval.records.messages import Message, Plan, RunResumed, RunStart
from pytest_qeval.schema import Case, Record
from pytest_qeval.verdict.baseline.key import benchmark_key, differences
from pytest_qeval.verdict.reread import last_end, resumed_header

_ANEW = "Repeat the command of that run, or leave --qeval-resume out to begin anew"
_WORDS = "{ours} here, {theirs} in that run"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedRun:
    """A run as far as its journal has it."""

    path: Path
    """Of the journal."""
    n_bytes: int
    """Of the lines that are whole."""
    run: RunStart | None
    """None where the run was killed before it had a plan: then there is nothing to take over."""
    plan: Plan | None
    messages: tuple[Message, ...]
    size: int
    """Bytes of the whole file when it was read."""
    modified: datetime
    """When the last line was written."""
    changed: tuple[str, ...] = ()
    """Conditions of costs that are others now; see `RunResumed.changed`."""
    records: Mapping[tuple[str, Case], Record] = field(init=False, repr=False, compare=False)
    """By recipe and case."""
    invalid: Mapping[Case, str] = field(init=False, repr=False, compare=False)
    """Perturbed cases whose own solution does not pass, with the reason."""

    def __post_init__(self) -> None:
        """Index records and invalid cases."""
        records = {(one.recipe, one.case): one for one in self.messages if isinstance(one, Record)}
        invalid = {one.case: one.reason for one in self.messages if isinstance(one, InvalidCase)}
        object.__setattr__(self, "records", records)
        object.__setattr__(self, "invalid", invalid)

    @classmethod
    def read(cls, path: Path) -> ResumedRun:
        """Read the journal of a run that is no longer under way.

        Raises:
            UsageError: when it still is, or is finished.
            DataError: when the journal is damaged otherwise than by a last line that was cut off.
        """
        check_unlocked(path)
        size = path.stat().st_size
        found = replace(cls.read_part(path, n_bytes=whole_lines(path)), size=size)
        if found.is_finished:
            raise UsageError(
                f"the run in {path.parent} is finished: leave --qeval-resume out to begin another one, or write its "
                f"reports again with --qeval-render {path.parent}."
            )
        return found

    @classmethod
    def read_part(cls, path: Path, *, n_bytes: int) -> ResumedRun:
        """Read so many bytes of a journal, whatever has been appended since.

        Raises:
            DataError: as `read`.
        """
        run, messages = read_journal(path, n_bytes=n_bytes) if n_bytes else (None, ())
        plan = next((one for one in messages if isinstance(one, Plan)), None)
        return cls(
            path=path,
            n_bytes=n_bytes if plan else 0,
            run=run if plan else None,
            plan=plan,
            messages=messages if plan else (),
            size=path.stat().st_size,
            modified=datetime.fromtimestamp(path.stat().st_mtime, tz=timezone.utc),
        )

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end, with a record of every case that needs one."""
        end = last_end(self.messages)
        return self.plan is not None and end is not None and not end.interrupted and not self._left()

    def _left(self) -> set[str]:
        """Return the recipes that have cases without a record."""
        collector = Collector()
        for message in self.messages:
            collector.add(message)
        planned = ((one.recipe, one.case) for one in self.plan.cases) if self.plan else ()
        return {recipe for recipe, case in collector.expected_cases(planned) if (recipe, case) not in self.records}

    @property
    def header(self) -> RunHeader | None:
        """The header of the run, with the times at which it has gone on so far."""
        return resumed_header(self.run.header, self.messages) if self.run else None

    @property
    def has_saved_baseline(self) -> bool:
        """Whether the run has taken records of a saved baseline."""
        return self.run is not None and self.run.saved_baseline is not None

    @property
    def batch_dependence(self) -> str:
        """Why completions depend on what they were generated with; empty where they do not."""
        facts = (one.batch_dependence for one in self.messages if isinstance(one, RecipeFacts))
        return next(filter(None, facts), "")

    def check(self, conditions: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Make sure that this run is the same one.

        Args:
            conditions: As `Plan.conditions` has them; those of costs may be others.
            settings: As `Plan.settings` has them.

        Raises:
            UsageError: naming what differs.
        """
        if self.plan is None:
            return
        if not self.plan.settings:
            raise UsageError(
                f"{self.path} was written by an older version, which did not note what has to be equal to resume a "
                "run: leave --qeval-resume out to begin anew."
            )
        answers = {name: value for name, value in conditions.items() if not name.startswith("costs.")}
        found = differences({**answers, **settings}, {**self.plan.conditions, **self.plan.settings}, _WORDS)
        self._refuse(found)

    def check_plan(self, planned: Iterable[tuple[str, Case]], benchmarks: Iterable[BenchmarkFacts]) -> None:
        """Make sure that the same cases of the same data are planned.

        Raises:
            UsageError: naming what differs.
        """
        if self.plan is None:
            return
        known = {one.name: one for one in self.messages if isinstance(one, BenchmarkFacts)}
        same = [one for one in benchmarks if one.name in known]
        self._refuse(differences(benchmark_key(same), benchmark_key(list(known.values())), _WORDS))
        before, now = {(one.recipe, one.case) for one in self.plan.cases}, set(planned)
        for only, where in ((before - now, "not in this run"), (now - before, "not in that run")):
            if only:
                recipe, case = min(only, key=lambda one: (one[0], one[1].benchmark, one[1].label))
                self._refuse([f"{counted(len(only), 'case')} {where}, such as {case.label} under {recipe}"])

    def _refuse(self, found: Iterable[str]) -> None:
        if found := list(found):
            raise UsageError(f"{self.path} is of another run ({'; '.join(found)}). {_ANEW}.")

    def under(self, costs: Mapping[str, Any]) -> ResumedRun:
        """Return the same with the conditions of costs that have changed; `costs` is this run's `cost_key`."""
        return replace(self, changed=differences(costs, self.plan.conditions if self.plan else {}, _WORDS))

    def goes_on(self, now: datetime) -> RunResumed:
        """Return the line that begins the next part."""
        assert self.run is not None  # noqa: S101 - only a run with a plan goes on
        parts = [one for one in self.messages if isinstance(one, RunResumed)]
        begun = datetime.fromisoformat(parts[-1].at if parts else self.run.started_at)
        earlier = sum(one.earlier_s for one in parts)
        end = last_end(self.messages)
        part_s = end.duration_s - earlier if end else (self.modified - begun).total_seconds()
        return RunResumed(
            at=now.isoformat(timespec="seconds"),
            records=len(self.records),
            earlier_s=max(0.0, part_s),
            cut=tuple(sorted(self._left() & {recipe for recipe, _ in self.records})),
            changed=self.changed,
        )
