"""`--qeval-compare A B`: the verdict on two finished runs, from their `records.jsonl` alone."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.errors import DataError, QEvalError, UsageError
from pytest_qeval.facts import RunHeader
from pytest_qeval.schema import Case, Json

if TYPE_CHECKING:
    from pytest_qeval.command_line import ComparisonSettings

__all__ = ["compare_runs"]


def compare_runs(config: pytest.Config) -> int | None:
    """Compare two finished runs, print and write the report, and give the exit status; None when nobody asked.

    Raises:
        pytest.UsageError: when they cannot be read, or cannot be compared.
    """
    if not config.getoption("qeval_compare"):
        return None
    from pytest_qeval.command_line import read_comparison  # noqa: PLC0415 - an inert plugin must cost next to nothing

    try:
        return _compare(read_comparison(config))
    except QEvalError as error:
        raise pytest.UsageError(str(error)) from error


def _compare(settings: ComparisonSettings) -> int:
    from pytest_qeval.gathering import Gathering, Parties  # noqa: PLC0415 - as above
    from pytest_qeval.report.files import write_report  # noqa: PLC0415
    from pytest_qeval.report.terminal import lines  # noqa: PLC0415
    from pytest_qeval.verdict.gates import check_gates, parse_gates  # noqa: PLC0415

    a, b = _Finished.read(settings.a), _Finished.read(settings.b)
    accepted = _differences(a, b)
    if accepted and not settings.force:
        raise UsageError(
            f"{a.path} and {b.path} were made under other conditions: {'; '.join(accepted)}. Compare runs that differ "
            "in their recipe only, or accept the differences with --qeval-baseline-force."
        )
    candidates = b.candidates()
    baseline, planned, messages = a.baseline(unlike=candidates, costs=a.run["host"] == b.run["host"])
    parties = Parties(candidates=candidates, baseline=baseline)
    gates = parse_gates(settings.gates, has_baseline=True)
    check_gates(gates, candidates=candidates)
    gathering = Gathering()
    for message in (*b.messages_of(candidates), *messages):
        gathering.add(message)
    verdict = gathering.conclude(
        run=b.header(a, accepted),
        duration_s=0.0,
        planned=[*planned, *b.planned_of(candidates)],
        parties=parties,
        gates=gates,
        require_proof=settings.require_proof,
    )
    settings.output.mkdir(parents=True, exist_ok=True)
    write_report(settings.output, verdict.summary, verdict.gates)
    for line in lines(verdict.summary, verdict.gates, output=settings.output):
        sys.stdout.write(f"{line.text}\n")
    return int(pytest.ExitCode.OK if verdict.holds else pytest.ExitCode.TESTS_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """A run that is over, as its journal has it."""

    path: Path
    run: Json
    messages: tuple[Json, ...]

    @classmethod
    def read(cls, path: Path) -> _Finished:
        """Read a journal."""
        from pytest_qeval.journal import read_journal  # noqa: PLC0415 - as above

        run, messages = read_journal(path)
        return cls(path=path, run=run, messages=messages)

    def roles(self) -> Mapping[str, str]:
        """Give the recipes that were loaded, with their roles."""
        return {message["name"]: message["role"] for message in self.messages if message["type"] == "recipe"}

    def candidates(self) -> tuple[str, ...]:
        """Give the recipes that are to be judged."""
        names = tuple(name for name, role in self.roles().items() if role == "candidate")
        if not names:
            raise DataError(f"{self.path} holds no candidate, only a baseline: name the run that is to be judged last.")
        return names

    def baseline(self, *, unlike: Sequence[str], costs: bool) -> tuple[str, list[tuple[str, Case]], tuple[Json, ...]]:
        """Give the recipe to compare with, under a name that no candidate has: name, plan and messages."""
        from pytest_qeval.verdict.baseline import Baseline  # noqa: PLC0415 - as above

        roles = self.roles()
        names = [name for name, role in roles.items() if role == "baseline"] or list(roles)
        if len(names) != 1:
            raise DataError(
                f"{self.path} holds {len(names)} recipes ({', '.join(names)}) and none of them is a baseline: compare "
                "with a run of one recipe, or one that had a baseline."
            )
        found = Baseline(recipe=names[0], key={}, run=self.run, messages=self.messages_of(names, benchmarks=False))
        planned = [(recipe, case) for recipe, case in self.planned_of(names)]
        if names[0] in unlike:
            found = found.renamed(f"{names[0]} (before)")
            planned = [(found.recipe, case) for _, case in planned]
        found = found if costs else found.without_costs()
        return found.recipe, planned, found.messages

    def messages_of(self, names: Iterable[str], *, benchmarks: bool = True) -> tuple[Json, ...]:
        """Give the messages about some recipes, and about benchmarks."""
        wanted = set(names)
        return tuple(
            message
            for message in self.messages
            if {message.get("recipe"), message.get("name")} & wanted or (benchmarks and message["type"] == "benchmark")
        )

    def planned_of(self, names: Iterable[str]) -> list[tuple[str, Case]]:
        """Give what some recipes were to be asked; where a crash took the plan, what they were asked."""
        wanted = set(names)
        plan = next((message["cases"] for message in self.messages if message["type"] == "plan"), None)
        rows = [message for message in self.messages if message["type"] == "record"] if plan is None else plan
        parts = ("benchmark", "task_id", "perturbation", "seed")
        return [(row["recipe"], Case(**{name: row[name] for name in parts})) for row in rows if row["recipe"] in wanted]

    def conditions(self) -> Json:
        """Give what has to be equal in two runs that are compared."""
        benchmarks = {
            f"benchmarks.{message['name']}": message["sha256"]
            for message in self.messages
            if message["type"] == "benchmark"
        }
        generation = {f"generation.{name}": value for name, value in self.run["generation"].items()}
        digest = self.run["model"].get("weights_sha256")
        return {**benchmarks, **generation, **({"model.weights_sha256": digest} if digest else {})}

    def header(self, before: _Finished, accepted: Sequence[str]) -> RunHeader:
        """Give the report's header: this run's, with where its baseline is from."""
        known = {field.name for field in fields(RunHeader)}
        row = {name: value for name, value in self.run.items() if name in known}
        saved = {
            "path": str(before.path),
            "started_at": before.run["started_at"],
            "host": before.run["host"],
            "accepted_differences": list(accepted),
        }
        return RunHeader(**{**row, "saved_baseline": saved})


def _differences(a: _Finished, b: _Finished) -> tuple[str, ...]:
    from pytest_qeval.verdict.baseline import differences  # noqa: PLC0415 - as above

    ours = b.conditions()
    known = a.conditions()
    return differences({name: value for name, value in ours.items() if name in known}, known)
