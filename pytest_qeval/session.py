"""The session: messages from test reports in; outcomes, verdict, files and lines out. It knows nothing of pytest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pytest_qeval.errors import UsageError
from pytest_qeval.journal import Journal
from pytest_qeval.report.json import report_dict
from pytest_qeval.report.layers import layers_csv
from pytest_qeval.report.summary import Material, summarise
from pytest_qeval.report.terminal import Line, lines
from pytest_qeval.results import (
    GateResult,
    GenerationFacts,
    RecipeFacts,
    RunHeader,
    SensitivityFacts,
    StreamFacts,
    Summary,
)
from pytest_qeval.schema import Case, Json, Outcome, Record
from pytest_qeval.settings import Settings, file_stem
from pytest_qeval.verdict.gates import parse_gates
from pytest_qeval.verdict.judge import judge

__all__ = ["FullOutcome", "Session"]

FullOutcome = Literal["solved", "unsolved", "regressed", "fixed"]


class Session:
    """One evaluation, on the process that reports (never in a worker).

    Messages are plain dicts with a `type`: `record`, `recipe`, `generation`, `stream`, `sensitivity` and `benchmark`;
    they come in any order and from any worker.
    """

    def __init__(self, settings: Settings, run: RunHeader, *, output: Path, clock: Callable[[], float]) -> None:
        """Read the gates and make sure that reports can be written, without writing anything yet.

        Raises:
            GateError: for a gate that cannot be read.
            UsageError: for an output folder that cannot be made.
        """
        self._settings = settings
        self._gates = parse_gates(settings.gates, has_baseline=settings.baseline is not None)
        _probe(output)
        self._run = run
        self._clock = clock
        self._started = clock()
        self.output = output
        self._planned: list[tuple[str, Case]] = []
        self._records: dict[tuple[str, Case], Record] = {}
        self._recipes: dict[str, RecipeFacts] = {}
        self._generation: list[GenerationFacts] = []
        self._streams: list[StreamFacts] = []
        self._sensitivity: dict[str, SensitivityFacts] = {}
        self._benchmarks: dict[str, Json] = {}
        self._journal: Journal | None = None
        self.summary: Summary | None = None
        self.gates: tuple[GateResult, ...] = ()

    def header(self) -> Iterator[str]:
        """Yield what will be run, before it is."""
        settings = self._settings
        against = f", compared with {settings.baseline}" if settings.baseline else ""
        yield f"{self._run.model['id']} · {', '.join(settings.recipes)}{against} · sandbox {self._run.sandbox}"
        yield f"reports go to {self.output}"

    def plan(self, planned: Sequence[tuple[str, Case | None]]) -> None:
        """Take what survived collection; its cases are the denominator of every result. The journal begins here.

        A recipe without a case is measured in some other way, such as its single stream.
        """
        self._planned = [(recipe, case) for recipe, case in planned if case]
        if self._journal is None and planned:
            self._journal = Journal(self.output / "records.jsonl")
            _point_at(self.output)
            self._journal.write({"type": "run", **asdict(self._run), "planned": len(self._planned)})

    def add(self, message: Json) -> None:
        """Take one message and append it to the journal."""
        if self._journal is not None:
            self._journal.write(message)
        body = {name: value for name, value in message.items() if name != "type"}
        match message["type"]:
            case "record":
                record = Record.from_dict(message)
                self._records[record.recipe, record.case] = record
            case "recipe":
                self._recipes[body["name"]] = RecipeFacts.from_dict(body)
            case "generation":
                self._generation.append(GenerationFacts.from_dict(body))
            case "stream":
                self._streams.append(StreamFacts.from_dict(body))
            case "sensitivity":
                facts = SensitivityFacts.from_dict(body)
                self._sensitivity[facts.recipe] = facts
            case "benchmark":
                self._benchmarks[body.pop("name")] = body

    def outcome(self, recipe: str, case: Case, own: Outcome) -> FullOutcome:
        """Say how a case ended, seen beside the baseline as far as that is known by now."""
        baseline = self._settings.baseline
        base = self._records.get((baseline, case)) if baseline and baseline != recipe else None
        if base is None or base.outcome == own:
            return own
        return "regressed" if own == "unsolved" else "fixed"

    def finish(self) -> bool:
        """Conclude, judge the gates and write every file; True when all gates hold."""
        if self._journal is None:
            return True
        self._journal.close()
        self.summary = summarise(
            Material(
                run=self._run,
                duration_s=self._clock() - self._started,
                planned=self._planned,
                records=list(self._records.values()),
                candidates=self._settings.recipes,
                baseline=self._settings.baseline,
                recipes=self._recipes_in_order(),
                generation=self._generation,
                streams=self._streams,
                sensitivity=self._sensitivity,
                benchmarks=self._benchmarks,
            )
        )
        self.gates = judge(self._gates, self.summary, require_proof=self._settings.require_proof)
        self._write_report()
        self._write_samples()
        return all(gate.outcome == "pass" for gate in self.gates)

    def lines(self) -> Iterator[Line]:
        """Yield the terminal summary; nothing when nothing was planned."""
        if self.summary is not None:
            yield from lines(self.summary, self.gates, output=self.output)

    def _recipes_in_order(self) -> dict[str, RecipeFacts]:
        return {name: self._recipes[name] for name in self._settings.all_recipes if name in self._recipes}

    def _write_report(self) -> None:
        assert self.summary is not None  # noqa: S101 - `finish` has just made it
        text = json.dumps(report_dict(self.summary, self.gates), indent=2, ensure_ascii=False, allow_nan=False)
        (self.output / "report.json").write_text(text + "\n", encoding="utf-8")
        if table := layers_csv(self._recipes_in_order().values()):
            (self.output / "layers.csv").write_text(table, encoding="utf-8")

    def _write_samples(self) -> None:
        recipes = list(dict.fromkeys(recipe for recipe, _ in self._planned))
        for recipe in recipes:
            name = "samples.jsonl" if len(recipes) == 1 else f"samples-{file_stem(recipe)}.jsonl"
            rows = (
                {"task_id": case.task_id, "completion": sample.completion.text}
                for planned, case in self._planned
                if planned == recipe and (record := self._records.get((recipe, case)))
                for sample in record.samples
            )
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (self.output / name).write_text(text, encoding="utf-8")


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
