"""The session: messages in; outcomes, verdict, files and lines out. It knows nothing of pytest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Literal

from pytest_qeval.benchmarks.selftest import BENCHMARKS
from pytest_qeval.config.resume import resume_settings
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.errors import UsageError, counted
from pytest_qeval.facts import BenchmarkFacts, EnergyFacts, GenerationFacts, RunHeader, StreamFacts
from pytest_qeval.measure.shared_energy import MachineMeter, share_energy
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.journal import Journal
from pytest_qeval.records.messages import BaselineScores, Message, Plan, PlannedCase, RunEnd, RunStart
from pytest_qeval.report.allure.results import AllureRun
from pytest_qeval.report.files import (
    check_folder,
    claim_folder,
    point_latest_at,
    write_pages,
    write_report,
    write_samples,
)
from pytest_qeval.report.prospects import prospect_lines
from pytest_qeval.report.reporter import RunResults
from pytest_qeval.report.reporters import call_reporters
from pytest_qeval.report.terminal import lines
from pytest_qeval.report.text import Line
from pytest_qeval.schema import Case, Json, Outcome, Record
from pytest_qeval.settings import CONTROL
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.margins import DEFAULT_MARGINS
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.power import estimate_pool, estimate_prospects
from pytest_qeval.summary.results import GateResult, Summary
from pytest_qeval.verdict.baseline.key import composition_of, cost_key, key_of
from pytest_qeval.verdict.baseline.reuse import ReusableCases, SavedBaseline
from pytest_qeval.verdict.baseline.writer import BaselineWriter
from pytest_qeval.verdict.conclude import Verdict, conclude
from pytest_qeval.verdict.gates.grammar import allowed_loss
from pytest_qeval.verdict.reread import plan_gate
from pytest_qeval.verdict.resume import ResumedRun

_CUT = "the run was cut short and resumed while this recipe was generating"
UNJUDGED = "no gate was judged: no test of the model was selected"
FullOutcome = Literal["solved", "unsolved", "unsupported", "regressed", "fixed", "scored"]


@dataclass(eq=False)
class Session:
    """One evaluation, on the process that reports (never in a worker)."""

    settings: RunSettings
    run: RunHeader
    _: KW_ONLY
    output: Path
    """Folder of the reports."""
    claims_output: bool = False
    """Whether the folder has to be a new one, and its name is none that the user has chosen."""
    clock: Callable[[], float]
    """Returns seconds that only go forward."""
    saved: SavedBaseline | None = None
    """A baseline that is not run, or not wholly."""
    cache: Path | None = None
    """Where the next run looks for the baseline."""
    n_workers: int = 1
    machine: MachineMeter | None = None
    """Meters the machine for its workers, which cannot."""
    step_summary: Path | None = None
    """File of the CI job that the Markdown summary is appended to."""
    resumed: ResumedRun | None = None
    """The run that goes on, where one does."""
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    resume_command: str = ""
    """What goes on with this run if it is cut short."""

    def __post_init__(self) -> None:
        """Make sure that reports can be written, without writing anything yet.

        Raises:
            UsageError: for an output folder, or a file of the baseline, that cannot be written, and for a run to be
                resumed that is another one.
        """
        check_folder(self.output)
        settings, saved = self.settings, self.saved
        self._started = self.clock()
        self._key = key_of(self.run, execution=settings.execution, replays=settings.replays)
        self._costs = cost_key(self.run, model=settings.model, execution=settings.execution, n_workers=self.n_workers)
        if self.resumed and (header := self.resumed.header):
            self.resumed.check({**self._key, **self._costs}, self._settings())
            self.resumed = self.resumed.under(self._costs)
            self.run = header
        self._writer: BaselineWriter | None = None
        if settings.save_baseline or self.cache:
            self._writer = BaselineWriter(
                settings.baseline or settings.candidates[0],
                path=settings.save_baseline,
                cache=self.cache,
                saved=saved.baseline if saved else None,
            )
        control = CONTROL if settings.control else None
        self._roles = Roles(candidates=settings.candidates, baseline=settings.baseline, control=control)
        self._planned: list[tuple[str, Case]] = []
        self._reused: dict[Case, None] = {}
        self._shared: list[GenerationFacts] = []
        self._saved_streams: list[StreamFacts] = []
        self._collector = Collector()
        self._journal: Journal | None = None
        self._notes: list[Line] = []
        self._verdict: Verdict | None = None
        self._is_reported = False
        self._cut: set[str] = set()
        """Recipes of which a part of the cases was finished before the run was resumed."""
        self.fault = ""
        """Why the run fails although its gates hold: a report or the user's baseline could not be written."""
        self.stop = ""
        """Why the run cannot go on: its records cannot be written."""

    @property
    def is_selftest(self) -> bool:
        """Whether the harness is tested, and no model."""
        return self.settings.selftest

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates, judged; empty before the end."""
        return self._verdict.gates if self._verdict else ()

    def finished(self) -> AllureRun | None:
        """Return what an Allure report needs of the run; None before the end, and where no case was planned."""
        if self._verdict is None:
            return None
        return AllureRun(summary=self._verdict.summary, records=self._collector.records, saved=self.is_saved)

    @property
    def summary(self) -> Summary | None:
        """What was concluded; None before the end."""
        return self._verdict.summary if self._verdict else None

    @property
    def is_unjudged(self) -> bool:
        """Whether there are gates, and no test of the model that they could judge."""
        return bool(self.settings.gates) and self._verdict is None

    def header(self) -> Iterator[str]:
        """Yield what will be run."""
        settings = self.settings
        against = f", compared with {settings.baseline}" if settings.baseline else ""
        yield f"{self.run.model['id']} · {', '.join(settings.candidates)}{against} · sandbox {self.run.sandbox}"
        if not settings.selftest:
            yield f"prompts: {settings.generation.prompt_style}, {self.run.prompt_reason}"
        elif settings.suites:
            absent = [name for name in BENCHMARKS if name not in settings.suites]
            yield f"benchmarks: {', '.join(settings.suites)}" + (f"; left out: {', '.join(absent)}" if absent else "")
        if self.resumed:
            n_records = counted(len(self.resumed.records), "record")
            yield f"goes on with the run of {self.run.started_at}, which has {n_records}"
            if self.resumed.batch_dependence:
                yield f"its other completions may differ from an uninterrupted run's: {self.resumed.batch_dependence}"
        yield from (f"left out: {name} ({reason})" for name, reason in settings.left_out.items())
        yield from (f"not used: {option}" for option in settings.unused)
        if origin := self.run.saved_baseline:
            yield f"the baseline {settings.baseline} is that of {origin['started_at']}, from {origin['path']}"
            yield from (f"accepted: {difference}" for difference in origin["accepted_differences"])
        yield f"reports go to {self.output}"

    def begin(self) -> None:
        """Begin to meter the machine, before workers do: making the meter takes seconds."""
        if self.machine:
            self.machine.start()

    def plan(
        self,
        planned: Sequence[tuple[str, Case | None]],
        reusable: ReusableCases | None = None,
        benchmarks: Sequence[BenchmarkFacts] = (),
    ) -> None:
        """Take what survived collection; its cases are the denominator of every result. The journal begins here.

        Args:
            planned: Recipes and cases; a recipe without a case is measured in some other way, as by its single stream.
            reusable: What the saved baseline need not run again.
            benchmarks: Those of the cases.

        Raises:
            UsageError: when another run writes to the same folder, nothing can be written there, or the run to be
                resumed had another plan.
        """
        cases = list(dict.fromkeys((recipe, case) for recipe, case in planned if case))  # two tests may share a case
        if self._journal is not None or not planned:
            self._planned = cases
            return
        saved = self.saved
        if saved and reusable:
            self._reused = dict.fromkeys(saved.reused(cases, reusable.cases))
            cases = list(dict.fromkeys([*((saved.recipe, case) for case in self._reused), *cases]))
        if self.resumed:
            self._continue_journal(self.resumed, cases, benchmarks)
        else:
            if saved and reusable:
                self.run = replace(self.run, saved_baseline=saved.origin(reusable.accepted))
            self._begin_journal(cases)
        if saved and reusable:
            measures_stream = (saved.recipe, None) in planned
            for message in saved.messages(self._reused, costs=self._costs, measures_stream=measures_stream):
                if self._collector.holds(message):
                    continue  # a part of this run has taken it already
                if isinstance(message, StreamFacts):
                    self._saved_streams.append(message)
                else:
                    self._take(message)

    def _settings(self) -> Json:
        """Return what has to be equal for this run to be resumed, besides conditions."""
        made_at = self.saved.baseline.run.started_at if self.saved and self.saved.named else None
        return {**resume_settings(self.settings), "baseline-file.made": made_at}

    def _continue_journal(
        self, resumed: ResumedRun, planned: list[tuple[str, Case]], benchmarks: Sequence[BenchmarkFacts]
    ) -> None:
        """Take what the journal has, and go on after its last whole line."""
        resumed.check_plan(planned, benchmarks)
        assert resumed.plan is not None  # noqa: S101 - else the run would have begun anew
        self._planned = [(one.recipe, one.case) for one in resumed.plan.cases]
        goes_on = resumed.goes_on(self.now())
        self._cut = {*goes_on.cut}
        self._journal = Journal(resumed.path, keep_bytes=resumed.n_bytes, size=resumed.size)
        point_latest_at(self.output)
        for message in resumed.messages:
            self._collector.add(message)
            if self._writer:
                self._writer.add(message)
        self._take(goes_on)
        self.run = replace(self.run, resumed=(*self.run.resumed, asdict(goes_on)))

    def _begin_journal(self, planned: list[tuple[str, Case]]) -> None:
        """Write who runs what, and the plan, so that the journal can be judged later without this session."""
        self._planned = planned
        if self.claims_output:
            self.output = claim_folder(self.output)
        journal = Journal(self.output / "records.jsonl")
        point_latest_at(self.output)
        cases = tuple(PlannedCase(recipe=recipe, **asdict(case)) for recipe, case in planned)
        plan = Plan(
            **asdict(self._roles),
            conditions={**self._key, **self._costs},
            cases=cases,
            gates=tuple(map(plan_gate, self.settings.gates)),
            require_proof=self.settings.require_proof,
            allow_missing=self.settings.allow_missing,
            settings=self._settings(),
        )
        try:
            for message in (RunStart(**asdict(self.run), planned=len(self._planned)), plan):
                journal.write(message)
        except UsageError:
            journal.close()
            raise
        self._journal = journal

    def preview(
        self, executed: Collection[Case], counted: Collection[Case] = (), clusters: Clusters = each_alone
    ) -> Iterator[str]:
        """Yield how much of the baseline is reused, and what so many problems can prove.

        Args:
            executed: Cases whose programs are executed.
            counted: Those of them that count in the pool of all benchmarks.
            clusters: Returns what a case's problem shares with others.
        """
        if self.saved:
            n_cases = sum(recipe == self.saved.recipe for recipe, _ in self._planned)
            if n_cases:
                yield f"{len(self._reused)} of the {n_cases} records of {self.saved.recipe} are the saved ones"
        if self._roles.baseline:
            # Once for all candidates, in the order of the plan.
            mine = dict.fromkeys(case for name, case in self._planned if name in self._roles.candidates and case.is_own)
            margin = partial(allowed_loss, self.settings.gates, None, default=DEFAULT_MARGINS["pass@K"])
            each = estimate_prospects([case for case in mine if case in executed], margin=margin, clusters=clusters)
            pool = [case for case in mine if case in counted]
            yield from prospect_lines([*each, *estimate_pool(pool, margin=margin(POOL), clusters=clusters)])

    def add(self, message: Message) -> None:
        """Take one message and append it to the journal; energy that is shared is known at the end.

        Once the journal cannot be written, `stop` says why, and no message is taken: what is reported is on the disk.
        """
        if isinstance(message, GenerationFacts) and message.recipe in self._cut:
            message = replace(message, energy=EnergyFacts(undefined=_CUT))
        if self.machine and isinstance(message, GenerationFacts):
            self._shared.append(message)
        else:
            self._add(message)

    def _add(self, message: Message) -> None:
        if self.stop:
            return
        try:
            self._keep(message)
        except UsageError as error:
            self.stop = self.fault = str(error)

    def _keep(self, message: Message) -> None:
        if self._writer:
            self._writer.add(message)
        if isinstance(message, StreamFacts):  # only then is there anything to compare the saved ones with
            while self._saved_streams:
                self._take(self._saved_streams.pop(0))
        self._take(message)

    def _take(self, message: Message) -> None:
        if self._journal is not None and not isinstance(message, BaselineScores):  # megabytes, for saved baselines only
            self._journal.write(message)
        self._collector.add(message)

    def is_saved(self, recipe: str, case: Case) -> bool:
        """Return whether a record is the saved baseline's."""
        return self.saved is not None and recipe == self.saved.recipe and case in self._reused

    def outcome(self, recipe: str, case: Case, own: Outcome) -> FullOutcome:
        """Return how a case ended, compared with the baseline as far as that is known by now."""
        base = self.baseline_record(recipe, case)
        if base is None or base.outcome == own or "unsupported" in {base.outcome, own}:
            return own
        return "regressed" if own == "unsolved" else "fixed"

    def baseline_record(self, recipe: str, case: Case) -> Record | None:
        """Return the baseline's record of a case, as far as there is one by now; None for the baseline's own cases."""
        baseline = self.settings.baseline
        return self._collector.records.get((baseline, case)) if baseline and baseline != recipe else None

    def finish(self, *, interrupted: bool = False) -> bool:
        """Conclude, judge the gates and write every file; True when all gates hold and everything is written.

        Of a run that was cut short no gate is judged. What cannot be written is said in the summary.
        """
        if self._journal is None:
            if self.machine:
                self.machine.cancel()
            return True
        if self.machine:
            for facts in share_energy(self.machine.stop(), self._shared):
                self._add(facts)
        duration_s = self.clock() - self._started + sum(part["earlier_s"] for part in self.run.resumed)
        self._verdict = conclude(
            self._collector,
            run=self.run,
            duration_s=duration_s,
            planned=self._planned,
            roles=self._roles,
            gates=self.settings.gates,
            require_proof=self.settings.require_proof,
            allow_missing=self.settings.allow_missing,
            interrupted=interrupted or bool(self.stop),
        )
        self._is_reported = is_written = self._written(
            self._write_reports, advice=f" Make room, then: pytest --qeval-render {self.output}"
        )
        is_written &= self._written(self._write_baseline)
        if not self.is_selftest:
            results = RunResults.of(self._collector, self._planned, self._verdict.summary, self._verdict.gates)
            self._notes += call_reporters(results, self.output)
        end = RunEnd(duration_s=duration_s, interrupted=self._verdict.summary.interrupted)
        is_written &= self._written(partial(self._journal.write, end))  # now nothing is left to be done
        self._journal.close()
        return is_written and self._verdict.holds

    def _written(self, write: Callable[[], None], *, advice: str = "") -> bool:
        """Write something; False, and a sentence in the summary, when that is not possible."""
        try:
            write()
        except UsageError as error:
            self.fault = self.fault or f"{error}{advice}"
            return False
        return True

    def _write_reports(self) -> None:
        """Write the files of the run, but its baseline's."""
        assert self._verdict is not None  # noqa: S101 - it was concluded just before
        summary, gates, records = self._verdict.summary, self._verdict.gates, self._collector.records
        write_report(self.output, summary, gates)
        if not self.is_selftest:  # no model wrote those completions
            write_samples(self.output, self._planned, records)
        self._notes += write_pages(self.output, summary, gates, records, step_summary=self.step_summary)

    def lines(self, verbosity: int = 0) -> Iterator[Line]:
        """Yield the terminal summary; without a plan, only that gates were not judged.

        Args:
            verbosity: pytest's; below 0 only the sentences, the verdict and warnings, above 0 every flip's reason too.
        """
        if self._verdict is not None:
            yield from lines(
                self._verdict.summary,
                self._verdict.gates,
                output=self.output if self._is_reported else None,
                verbosity=verbosity,
                records=self._collector.records,
            )
            yield from (note for note in self._notes if verbosity >= 0 or note.colour)
            if self.fault:
                yield Line(self.fault, "red")
            if self._verdict.summary.interrupted and self.resume_command:
                yield Line(f"go on with: {self.resume_command}")
        elif self.is_unjudged:
            yield Line(UNJUDGED, "yellow")

    def _write_baseline(self) -> None:
        """Write the baseline to where later runs find it."""
        if self._writer is None:
            return
        note = self._writer.write(
            {**self._key, **self._costs},
            self.run,
            planned=self._planned,
            composition=composition_of(
                (case for _, case in self._planned),
                threads=self.settings.model.threads,
                n_workers=self.n_workers,
            ),
        )
        self._notes += [Line(note)] if note else []
