"""The session: messages from test reports in; outcomes, verdict, files and lines out. It knows nothing of pytest."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pytest_qeval.errors import UsageError
from pytest_qeval.facts import RunHeader
from pytest_qeval.gathering import Gathering, Parties, Verdict
from pytest_qeval.journal import Journal
from pytest_qeval.report.comparison import MARGIN
from pytest_qeval.report.files import write_report, write_samples
from pytest_qeval.report.prospects import prospects
from pytest_qeval.report.terminal import Line, lines
from pytest_qeval.results import GateResult
from pytest_qeval.schema import Case, Json, Outcome, Record
from pytest_qeval.settings import CONTROL, Settings
from pytest_qeval.verdict.baseline import Baseline, write_baseline
from pytest_qeval.verdict.baseline_key import benchmark_key, key_of
from pytest_qeval.verdict.gates import Gate
from pytest_qeval.verdict.margin import margin_of

__all__ = ["FullOutcome", "Session"]

FullOutcome = Literal["solved", "unsolved", "regressed", "fixed"]

_NOT_IN_JOURNAL = ("scores",)
"""Megabytes of log-probabilities, which a saved baseline keeps."""


class Session:
    """One evaluation, on the process that reports (never in a worker); `Gathering` lists the messages it takes."""

    def __init__(
        self,
        settings: Settings,
        run: RunHeader,
        *,
        output: Path,
        clock: Callable[[], float],
        gates: Sequence[Gate] = (),
        saved: Baseline | None = None,
        cache: Path | None = None,
    ) -> None:
        """Make sure that reports can be written, without writing anything yet.

        Args:
            settings: What the user asked for.
            run: The header of the report.
            output: Where reports are written.
            clock: Seconds that only go forward.
            gates: What must hold.
            saved: A baseline that is not run, or not wholly.
            cache: Where the baseline is kept for the next run.

        Raises:
            UsageError: for an output folder that cannot be made.
        """
        self._settings = settings
        self._gates = tuple(gates)
        _probe(output)
        self._run = run
        self._clock = clock
        self._started = clock()
        self._saved = saved
        self._cache = cache
        self.output = output
        self._planned: list[tuple[str, Case]] = []
        self._gathering = Gathering()
        self._of_baseline: list[Json] = []
        """Messages that a saved baseline keeps."""
        self._journal: Journal | None = None
        self._said: list[Line] = []
        self._verdict: Verdict | None = None

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates, judged; empty before the end."""
        return self._verdict.gates if self._verdict else ()

    def header(self) -> Iterator[str]:
        """Yield what will be run, before it is."""
        settings = self._settings
        against = f", compared with {settings.baseline}" if settings.baseline else ""
        yield f"{self._run.model['id']} · {', '.join(settings.recipes)}{against} · sandbox {self._run.sandbox}"
        if self._run.saved_baseline:
            origin = self._run.saved_baseline
            yield f"the baseline {settings.baseline} is that of {origin['started_at']}, from {origin['path']}"
            yield from (f"accepted: {difference}" for difference in origin["accepted_differences"])
        yield f"reports go to {self.output}"

    def plan(self, planned: Sequence[tuple[str, Case | None]]) -> None:
        """Take what survived collection; its cases are the denominator of every result. The journal begins here.

        A recipe without a case is measured in some other way, such as its single stream.
        """
        self._planned = [(recipe, case) for recipe, case in planned if case]
        if self._journal is not None or not planned:
            return
        reused = self._reused() if self._saved else []
        self._planned = [*reused, *self._planned]
        self._journal = Journal(self.output / "records.jsonl")
        _point_at(self.output)
        self._journal.write({"type": "run", **asdict(self._run), "planned": len(self._planned)})
        rows = [{"recipe": recipe, **asdict(case)} for recipe, case in self._planned]
        self._journal.write({"type": "plan", "cases": rows})
        if self._saved and reused:
            streams = (self._saved.recipe, None) not in planned
            for message in self._saved.messages:
                if _is_wanted(message, {case for _, case in reused}, streams=streams):
                    self.add(message)

    def _reused(self) -> list[tuple[str, Case]]:
        """Give the baseline's cases that are answered already, and asked of others."""
        assert self._saved is not None  # noqa: S101 - the caller has looked
        name, records = self._saved.recipe, self._saved.records
        here = set(self._planned)
        asked = dict.fromkeys(case for recipe, case in self._planned if recipe != name)
        return [(name, case) for case in asked if case in records and (name, case) not in here]

    def prospects(self) -> list[str]:
        """Say what so many problems can prove, before anything is generated."""
        if self._settings.baseline is None:
            return []
        cases = {case for recipe, case in self._planned if recipe in self._settings.recipes}
        return list(prospects(cases, margin=lambda name: margin_of(self._gates, None, name, default=MARGIN)))

    def add(self, message: Json) -> None:
        """Take one message and append it to the journal."""
        if self._journal is not None and message["type"] not in _NOT_IN_JOURNAL:
            self._journal.write(message)
        if self._kept_recipe() in {message.get("recipe"), message.get("name")}:
            self._of_baseline.append(message)
        self._gathering.add(message)

    def outcome(self, recipe: str, case: Case, own: Outcome) -> FullOutcome:
        """Say how a case ended, seen beside the baseline as far as that is known by now."""
        baseline = self._settings.baseline
        base = self._gathering.records.get((baseline, case)) if baseline and baseline != recipe else None
        if base is None or base.outcome == own:
            return own
        return "regressed" if own == "unsolved" else "fixed"

    def finish(self) -> bool:
        """Conclude, judge the gates and write every file; True when all gates hold."""
        if self._journal is None:
            return True
        self._journal.close()
        settings = self._settings
        self._verdict = self._gathering.conclude(
            run=self._run,
            duration_s=self._clock() - self._started,
            planned=self._planned,
            parties=Parties(
                candidates=settings.recipes,
                baseline=settings.baseline,
                control=CONTROL if settings.control else None,
            ),
            gates=self._gates,
            require_proof=settings.require_proof,
        )
        write_report(self.output, self._verdict.summary, self._verdict.gates)
        write_samples(self.output, self._planned, self._gathering.records)
        self._keep_baseline()
        return self._verdict.holds

    def lines(self) -> Iterator[Line]:
        """Yield the terminal summary; nothing when nothing was planned."""
        if self._verdict is not None:
            yield from lines(self._verdict.summary, self._verdict.gates, output=self.output)
            yield from self._said

    def _kept_recipe(self) -> str | None:
        """Which recipe is saved, if one is: the baseline, or the only one."""
        if self._settings.save_baseline is None and self._cache is None:
            return None
        return self._settings.baseline or self._settings.recipes[0]

    def _keep_baseline(self) -> None:
        """Write the baseline where the user wants it, and into the cache."""
        recipe, gathered = self._kept_recipe(), self._gathering
        facts = gathered.recipes.get(recipe or "")
        if recipe is None or facts is None or not any(name == recipe for name, _ in gathered.records):
            return
        baseline = Baseline(
            recipe=recipe,
            key={**key_of(self._settings, self._run, facts), **benchmark_key(gathered.benchmarks)},
            run=asdict(self._run),
            messages=tuple(self._of_baseline),
        )
        if self._settings.save_baseline:
            write_baseline(self._settings.save_baseline, baseline)
            answers = sum(name == recipe for name, _ in gathered.records)
            self._said.append(Line(f"baseline: {self._settings.save_baseline} ({recipe}, {answers} cases)"))
        if self._cache:
            with suppress(UsageError):  # a cache that cannot be written is no reason to fail
                write_baseline(self._cache, self._saved.merged(baseline) if self._saved else baseline)


def _is_wanted(message: Json, cases: set[Case], *, streams: bool) -> bool:
    """Tell whether a saved message belongs to this run."""
    if message["type"] == "record":
        return Record.from_dict(message).case in cases
    return streams or message["type"] != "stream"


def _probe(output: Path) -> None:
    """Try to write where the folder is, or would be made."""
    try:
        nearest = next(folder for folder in (output, *output.parents) if folder.exists() or folder.is_symlink())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(
            f"reports cannot be written to {output}: {error.strerror}. "
            "Name a folder that can be made and written to by --qeval-output."
        ) from error


def _point_at(output: Path) -> None:
    """Let `latest`, beside the runs under `.qeval`, point at this one; a folder of the user's own gets no such link."""
    if output.parent.name != ".qeval":
        return
    link = output.parent / "latest"
    with suppress(OSError):  # a file system without links, or another run that was faster: nobody depends on it
        link.unlink(missing_ok=True)
        link.symlink_to(output.name)
