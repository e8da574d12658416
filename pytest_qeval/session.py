"""The session: messages from test reports in; outcomes, verdict, files and lines out. It knows nothing of pytest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any as Settings
from typing import Literal

from pytest_qeval.benchmarks.selftest import BENCHMARKS
from pytest_qeval.errors import UsageError
from pytest_qeval.facts import RunHeader
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.journal import Journal
from pytest_qeval.report.files import check_folder, write_report, write_samples
from pytest_qeval.report.prospects import prospects
from pytest_qeval.report.terminal import Line, lines
from pytest_qeval.schema import Case, Json, Outcome
from pytest_qeval.settings import CONTROL
from pytest_qeval.summary.comparison import MARGIN
from pytest_qeval.summary.results import GateResult
from pytest_qeval.verdict.baseline.file import Baseline
from pytest_qeval.verdict.baseline.key import benchmark_key, cost_key, key_of
from pytest_qeval.verdict.baseline.writer import baseline_writer, replayed
from pytest_qeval.verdict.conclude import Verdict, conclude
from pytest_qeval.verdict.gates.grammar import Gate
from pytest_qeval.verdict.gates.margin import margin_of

__all__ = ["FullOutcome", "Session"]

FullOutcome = Literal["solved", "unsolved", "regressed", "fixed", "scored"]

_NOT_IN_JOURNAL = ("scores",)
"""Megabytes of log-probabilities, which a saved baseline keeps."""


class Session:
    """One evaluation, on the process that reports (never in a worker); `Collector` lists the messages it takes."""

    def __init__(
        self,
        settings: Settings,
        run: RunHeader,
        *,
        output: Path,
        clock: Callable[[], float],
        saved: Baseline | None = None,
        cache: Path | None = None,
        n_workers: int = 1,
    ) -> None:
        """Make sure that reports can be written, without writing anything yet.

        Args:
            settings: What the user asked for.
            run: The header of the report.
            output: Where reports are written.
            clock: Seconds that only go forward.
            saved: A baseline that is not run, or not wholly.
            cache: Where the baseline is kept for the next run.
            n_workers: How many processes share the machine.

        Raises:
            UsageError: for an output folder that cannot be made.
        """
        self._settings = settings
        self._gates: tuple[Gate, ...] = settings.gates
        check_folder(output)
        self._run = run
        self._clock = clock
        self._started = clock()
        self._saved = saved
        self._costs = cost_key(settings, run, n_workers=n_workers)
        self._baseline_writer = baseline_writer(settings, saved=saved, cache=cache)
        self.output = output
        self._planned: list[tuple[str, Case]] = []
        self._taken = 0
        self._collector = Collector()
        self._journal: Journal | None = None
        self._said: list[Line] = []
        self._verdict: Verdict | None = None

    @property
    def is_selftest(self) -> bool:
        """Whether the harness is tested, and nothing evaluated."""
        return bool(self._settings.selftest)

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates, judged; empty before the end."""
        return self._verdict.gates if self._verdict else ()

    def header(self) -> Iterator[str]:
        """Yield what will be run, before it is."""
        settings = self._settings
        against = f", compared with {settings.baseline}" if settings.baseline else ""
        yield f"{self._run.model['id']} · {', '.join(settings.candidates)}{against} · sandbox {self._run.sandbox}"
        if not settings.selftest:
            yield f"prompts: {settings.generation.prompt_style}, {self._run.prompt_reason}"
        if settings.selftest and settings.suites:
            absent = [name for name in BENCHMARKS if name not in settings.suites]
            yield f"asked: {', '.join(settings.suites)}" + (f"; not asked: {', '.join(absent)}" if absent else "")
        yield from (f"left out: {name} ({reason})" for name, reason in settings.left_out.items())
        if self._run.saved_baseline:
            origin = self._run.saved_baseline
            yield f"the baseline {settings.baseline} is that of {origin['started_at']}, from {origin['path']}"
            yield from (f"accepted: {difference}" for difference in origin["accepted_differences"])
        yield f"reports go to {self.output}"

    def plan(
        self,
        planned: Sequence[tuple[str, Case | None]],
        answered: Collection[Case] = (),
        *,
        accepted: Sequence[str] = (),
    ) -> None:
        """Take what survived collection; its cases are the denominator of every result. The journal begins here.

        Args:
            planned: Recipes and cases; a recipe without a case is measured in some other way, as by its single stream.
            answered: Cases to which the saved baseline has an answer.
            accepted: How the data were others then, where the user accepts that.
        """
        here = list(dict.fromkeys((recipe, case) for recipe, case in planned if case))  # two tests may ask the same
        if self._journal is not None or not planned:
            self._planned = here
            return
        origin = self._run.saved_baseline
        if origin and accepted:
            both = [*origin["accepted_differences"], *accepted]
            self._run = replace(self._run, saved_baseline={**origin, "accepted_differences": both})
        reused = self._reused(here, answered)
        self._taken = len(reused)
        self._planned = [*reused, *here]
        self._journal = Journal(self.output / "records.jsonl")
        _point_at(self.output)
        self._journal.write({"type": "run", **asdict(self._run), "planned": len(self._planned)})
        self._journal.write(self._plan_message())
        if self._saved and (reused or self._settings.baseline_file):
            cases = {case for _, case in reused}
            whole = cases == self._saved.records.keys()
            streams = (self._saved.recipe, None) not in planned
            for message in replayed(self._saved, self._costs, cases, whole=whole, streams=streams):
                self._take(message)

    def _reused(self, here: Sequence[tuple[str, Case]], answered: Collection[Case]) -> list[tuple[str, Case]]:
        """Return the baseline's cases that are answered already, and asked of others."""
        if self._saved is None:
            return []
        name, run = self._saved.recipe, set(here)
        asked = dict.fromkeys(case for recipe, case in here if recipe != name)
        return [(name, case) for case in asked if case in answered and (name, case) not in run]

    def _plan_message(self) -> Json:
        """Put down what is needed to judge the journal later, without this session."""
        roles = self._roles
        return {
            "type": "plan",
            "candidates": list(roles.candidates),
            "baseline": roles.baseline,
            "control": roles.control,
            "conditions": {**key_of(self._settings, self._run), **self._costs},
            "cases": [{"recipe": recipe, **asdict(case)} for recipe, case in self._planned],
        }

    @property
    def _roles(self) -> Roles:
        settings = self._settings
        return Roles(
            candidates=settings.candidates,
            baseline=settings.baseline,
            control=CONTROL if settings.control else None,
        )

    def taken(self) -> Iterator[str]:
        """Say how much of the baseline need not be run, once that is known."""
        if self._saved:
            asked = sum(recipe == self._saved.recipe for recipe, _ in self._planned)
            yield f"{self._taken} of the {asked} answers of {self._saved.recipe} are the saved ones"

    def prospects(self, executed: Iterable[Case]) -> list[str]:
        """Say what so many problems can prove, before anything is generated.

        Args:
            executed: Those whose answers are executed; how far scores will move, nobody knows before.
        """
        if self._settings.baseline is None:
            return []
        candidates = self._settings.candidates
        cases = {case for recipe, case in self._planned if recipe in candidates and not case.perturbation}
        return list(
            prospects(cases & {*executed}, margin=lambda name: margin_of(self._gates, None, name, default=MARGIN))
        )

    def add(self, message: Json) -> None:
        """Take one message and append it to the journal."""
        if self._baseline_writer:
            self._baseline_writer.add(message)
        self._take(message)

    def _take(self, message: Json) -> None:
        if self._journal is not None and message["type"] not in _NOT_IN_JOURNAL:
            self._journal.write(message)
        self._collector.add(message)

    def outcome(self, recipe: str, case: Case, own: Outcome) -> FullOutcome:
        """Say how a case ended, seen beside the baseline as far as that is known by now."""
        baseline = self._settings.baseline
        base = self._collector.records.get((baseline, case)) if baseline and baseline != recipe else None
        if base is None or base.outcome == own:
            return own
        return "regressed" if own == "unsolved" else "fixed"

    def finish(self) -> bool:
        """Conclude, judge the gates and write every file; True when all gates hold and everything is written."""
        if self._journal is None:
            return True
        self._journal.close()
        self._verdict = conclude(
            self._collector,
            run=self._run,
            duration_s=self._clock() - self._started,
            planned=self._planned,
            roles=self._roles,
            gates=self._gates,
            require_proof=self._settings.require_proof,
        )
        write_report(self.output, self._verdict.summary, self._verdict.gates)
        if not self.is_selftest:  # whose answers nobody has given
            write_samples(self.output, self._planned, self._collector.records)
        return self._keep_baseline() and self._verdict.holds

    def lines(self) -> Iterator[Line]:
        """Yield the terminal summary; without a plan, only what a gate would otherwise be silent about."""
        if self._verdict is not None:
            yield from lines(self._verdict.summary, self._verdict.gates, output=self.output)
            yield from self._said
        elif self._gates:
            yield Line("no gate was judged: no test of the model was selected", "yellow")

    def _keep_baseline(self) -> bool:
        """Write the baseline where the user wants it, and into the cache; False when the user's cannot be written."""
        if self._baseline_writer is None:
            return True
        conditions = {
            **key_of(self._settings, self._run),
            **self._costs,
            **benchmark_key(self._collector.benchmarks),
        }
        try:
            invalid = self._collector.invalid
            kept = [(recipe, case) for recipe, case in self._planned if case not in invalid]
            said = self._baseline_writer.write(conditions, asdict(self._run), planned=kept)
        except UsageError as error:
            self._said.append(Line(str(error), "red"))
            return False
        self._said += [Line(text) for text in said]
        return True


def _point_at(output: Path) -> None:
    """Let `latest`, beside the runs under `.qeval`, point at this one; a folder of the user's own gets no such link."""
    if output.parent.name != ".qeval":
        return
    link = output.parent / "latest"
    with suppress(OSError):  # a file system without links, or another run that was faster: nobody depends on it
        link.unlink(missing_ok=True)
        link.symlink_to(output.name)
