"""Runs that are over, as their journals have them, and two of them put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import RunHeader
from pytest_qeval.records.collector import Collector, Roles
from pytest_qeval.records.journal import read_journal
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.file import Baseline, differences
from pytest_qeval.verdict.baseline.writer import as_baseline

__all__ = ["Finished", "Joint", "put_together"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that is over."""

    path: Path
    run: Json
    messages: tuple[Json, ...]

    @classmethod
    def read(cls, path: Path) -> Finished:
        """Read a journal.

        Raises:
            DataError: when it is none, is a self-test's, or ends before anything was planned.
        """
        run, messages = read_journal(path)
        if run["model"].get("source") == NAME:
            raise DataError(f"{path} is a self-test of the harness: compare two runs that evaluated something.")
        found = cls(path=path, run=run, messages=messages)
        if not any(message["type"] == "plan" for message in messages):
            raise DataError(f"{path} holds no plan of what was to be asked: run the evaluation again.")
        return found

    @property
    def plan(self) -> Json:
        """What was to be asked of whom, under which conditions."""
        return next(message for message in self.messages if message["type"] == "plan")

    def cases(self, recipe: str) -> list[Case]:
        """Return what a recipe was to be asked."""
        return [_case(row) for row in self.plan["cases"] if row["recipe"] == recipe]

    def candidates(self) -> tuple[str, ...]:
        """Return the recipes that are to be judged, whether or not they were loaded."""
        return tuple(self.plan["candidates"])

    def baseline(self) -> str:
        """Return the recipe to compare with: the baseline, or the only recipe.

        Raises:
            DataError: when there are several, and none is the baseline.
        """
        plan = self.plan
        if plan["baseline"]:
            return str(plan["baseline"])
        if len(plan["candidates"]) != 1:
            raise DataError(
                f"{self.path} holds several recipes ({', '.join(plan['candidates'])}) and no baseline: compare with a "
                "run of one recipe, or one that had a baseline."
            )
        return str(plan["candidates"][0])

    def messages_of(self, recipe: str) -> tuple[Json, ...]:
        """Return the messages about a recipe."""
        return tuple(message for message in self.messages if recipe in {message.get("recipe"), message.get("name")})

    def benchmarks(self) -> dict[str, Json]:
        """Return the messages about benchmarks, by name."""
        return {message["name"]: message for message in self.messages if message["type"] == "benchmark"}

    def perturbations(self) -> list[Json]:
        """Return the messages about what was made of problems, and what was no question."""
        return [message for message in self.messages if message["type"] in {"perturbation", "invalid"}]

    def conditions(self) -> Json:
        """Return what has to be equal in two runs that are compared."""
        checksums = {f"benchmarks.{name}": message["sha256"] for name, message in self.benchmarks().items()}
        return {**{name: value for name, value in self.plan["conditions"].items() if not _is_cost(name)}, **checksums}

    def cost_conditions(self) -> Json:
        """Return what costs depend on, and answers do not."""
        told = {name: value for name, value in self.plan["conditions"].items() if _is_cost(name)}
        return {**told, "host": self.run["host"]}

    def header(self, before: Finished, accepted: Sequence[str]) -> RunHeader:
        """Return the report's header: this run's, with where its baseline is from."""
        known = {field.name for field in fields(RunHeader)}
        row = {name: value for name, value in self.run.items() if name in known}
        saved = {
            "path": str(before.path),
            "started_at": before.run["started_at"],
            "host": before.run["host"],
            "accepted_differences": list(accepted),
        }
        return RunHeader(**{**row, "saved_baseline": saved})


def _case(row: Json) -> Case:
    return Case(**{name: row[name] for name in ("benchmark", "task_id", "perturbation", "seed")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Two runs put together: everything that a verdict needs."""

    run: RunHeader
    roles: Roles
    planned: list[tuple[str, Case]]
    collector: Collector


def put_together(before: Finished, after: Finished, *, force: bool) -> Joint:
    """Set the candidates of one run beside the baseline of another, as if it had been saved and used.

    Every case that a candidate was to be asked is one that the baseline was to be asked: what it has no answer to is
    missing.

    Raises:
        UsageError: when they were made under other conditions, and that is not accepted (`force`).
    """
    candidates, old_name = after.candidates(), before.baseline()
    accepted = _differences(before, after)
    if accepted and not force:
        raise UsageError(
            f"{before.path} and {after.path} were made under other conditions: {'; '.join(accepted)}. Compare runs "
            "that differ in their recipe only, or accept the differences with --qeval-baseline-force."
        )
    cases = [(name, case) for name in candidates for case in after.cases(name)]
    asked = dict.fromkeys(case for _, case in cases)
    comparable = before.cost_conditions() == after.cost_conditions()
    baseline = _baseline(before, old_name, asked, comparable=comparable)
    if old_name in candidates:
        baseline = baseline.renamed(f"{old_name} (before)")
    collector = Collector()
    told = [message for name in candidates for message in after.messages_of(name)]
    shared = [*after.benchmarks().values(), *_perturbed_problems(before, after, asked)]
    for message in (*shared, *filter(_holds(before, after), told), *baseline.messages):
        collector.add(_from(message, baseline.recipe))
    return Joint(
        run=after.header(before, accepted),
        roles=Roles(candidates=candidates, baseline=baseline.recipe),
        planned=[*((baseline.recipe, case) for case in asked), *cases],
        collector=collector,
    )


def _baseline(before: Finished, name: str, asked: Mapping[Case, None], *, comparable: bool) -> Baseline:
    """Take the baseline's answers to what is asked; costs only if it was asked just that, under the same conditions."""
    found = Baseline(recipe=name, key={}, run=before.run, messages=before.messages_of(name))
    found = found if comparable and found.records.keys() == asked.keys() else found.without_costs()
    messages = [
        as_baseline(message)
        for message in found.messages
        if message["type"] not in {"divergence", "decision"}
        and (message["type"] != "record" or Record.from_dict(message).case in asked)
    ]
    return Baseline(recipe=name, key={}, run=before.run, messages=tuple(messages))


def _holds(before: Finished, after: Finished) -> Callable[[Json], bool]:
    """Tell which messages about candidates hold against the other run's baseline, too."""
    then, now = before.baseline(), after.plan["baseline"]
    same_answers: bool = _answers(before, then, after) == _answers(after, now, after)

    def holds(message: Json) -> bool:
        if message["type"] == "divergence":
            return bool(then == now)
        return same_answers or bool(message["type"] != "decision")

    return holds


def _answers(run: Finished, recipe: str | None, asked: Finished) -> dict[Case, int]:
    """Return how many samples passed, for the cases that a run's candidates were to be asked."""
    wanted = {case for name in asked.candidates() for case in asked.cases(name)}
    rows = (row for row in run.messages_of(recipe or "") if row["type"] == "record")
    records = (Record.from_dict(row) for row in rows)
    return {record.case: record.n_solved for record in records if record.case in wanted and record.recipe == recipe}


def _perturbed_problems(before: Finished, after: Finished, asked: Collection[Case]) -> list[Json]:
    """Return the later run's perturbation messages; a case that is invalid in either run is invalid in both."""
    earlier = (message for message in before.perturbations() if message["type"] == "invalid")
    return [*after.perturbations(), *(message for message in earlier if _case(message) in asked)]


def _from(message: Json, baseline: str) -> Json:
    """Let a divergence be from the baseline under the name that it has here."""
    return {**message, "baseline": baseline} if message["type"] == "divergence" else message


def _is_cost(condition: str) -> bool:
    return condition.startswith("costs.")


def _differences(before: Finished, after: Finished) -> tuple[str, ...]:
    ours = after.conditions()
    if after.candidates() == ("as-is",):  # its baseline is another checkpoint by nature
        ours = {name: value for name, value in ours.items() if not name.startswith("model.")}
    return differences(ours, before.conditions())
