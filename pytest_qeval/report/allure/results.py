"""Complete the results of cases once the run has ended: only then is it known which of them regressed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import unified_diff
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

from pytest_qeval.report.allure.case import KEY_LABEL, key_of
from pytest_qeval.report.allure.text import identity, writable
from pytest_qeval.report.text import model_name
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.summary.results import Summary

_KEPT_LABELS = {"host", "thread", "framework", "language", "tag"}
"""Labels of allure-pytest that say nothing of where the suites are installed."""
_STEP_STATUS = {"failed": "failed", "passed": "passed"}
"""Allure's status of the step of an execution; all other outcomes are `broken`."""

Kind = Literal["passed", "fixed", "regressed", "unsolved by both", "unsolved", "not judged"]
"""How a case ended; the message of a result begins with it, and the categories match that."""


class _Look(NamedTuple):
    status: str
    severity: str


_LOOKS: Mapping[Kind, _Look] = {
    "passed": _Look("passed", "normal"),
    "fixed": _Look("passed", "trivial"),
    "regressed": _Look("failed", "critical"),
    "unsolved by both": _Look("skipped", "minor"),
    "unsolved": _Look("skipped", "normal"),
    "not judged": _Look("skipped", "minor"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AllureRun:
    """A run, as far as its Allure results need it."""

    summary: Summary
    records: Mapping[tuple[str, Case], Record]
    saved: Callable[[str, Case], bool] = field(default=lambda _recipe, _case: False)
    """Whether a record is that of a saved baseline."""

    def base_of(self, record: Record) -> Record | None:
        """Return the baseline's record of a candidate's case, if there is one."""
        baseline = self.summary.baseline
        return self.records.get((baseline, record.case)) if baseline and baseline != record.recipe else None


def finish_cases(folder: Path, run: AllureRun) -> None:
    """Rewrite the results of this run's tests: status, severity, labels, parameters, times and identity.

    A regressed case fails here, whatever it did in pytest, so that the front page of a broken model is not green; what
    neither model solves is skipped. Results of other tests and of other runs stay as they are, and so does the status
    of a test whose harness broke.
    """
    records = {key_of(recipe, case): record for (recipe, case), record in run.records.items()}
    begin_ms = 1000 * datetime.fromisoformat(run.summary.run.started_at).timestamp()
    for path in folder.glob("*-result.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        key = next((label["value"] for label in result.get("labels", ()) if label["name"] == KEY_LABEL), None)
        if key is None or result["start"] < begin_ms:  # an earlier run that was killed
            continue
        if record := records.get(key):
            _complete_case(result, record, run, folder)
        else:
            _identify(result, *json.loads(key), run=run)
        path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")


def _complete_case(result: Json, record: Record, run: AllureRun, folder: Path) -> None:
    case, base = record.case, run.base_of(record)
    kind = kind_of(record, base)
    _identify(result, record.recipe, case.benchmark, case.label, run=run)
    if result["status"] != "broken":  # the harness broke after the record was there
        result["status"] = _LOOKS[kind].status
        result["statusDetails"] = _details(record, base, kind, run)
    result["parameters"] = list(_parameters(record, run))
    result["labels"] += _case_labels(record, kind, run)
    result["description"] = _description(record, run)
    _complete_executions(result.get("steps", ()), record)
    if base and kind in {"regressed", "fixed"}:
        _attach_difference(result.get("steps", ()), record, base, folder)
    if (seconds := _own_seconds(record, run)) is not None:
        result["stop"] = result["start"] + round(1000 * seconds)


def _identify(result: Json, recipe: str, feature: str, *case: str, run: AllureRun) -> None:
    """Name a test by what it is of, instead of by where the suites are installed."""
    name = ":".join((feature, *case, recipe))
    result |= {"fullName": name, "testCaseId": identity(name), "historyId": identity(name)}
    result.pop("titlePath", None)
    if not case:
        result["parameters"] = [{"name": "recipe", "value": recipe}]
    labels = [
        ("epic", model_name(run.summary.run)),
        ("feature", feature),
        ("story", recipe),
        ("parentSuite", feature),
        ("suite", recipe),
    ]
    kept = [label for label in result["labels"] if label["name"] in _KEPT_LABELS]
    result["labels"] = [*kept, *({"name": name, "value": value} for name, value in labels)]


def kind_of(record: Record, base: Record | None) -> Kind:
    """Return how a case ended, compared with the baseline's record, if there is one."""
    if record.outcome == "unsupported":
        return "not judged"
    if record.outcome != "unsolved":
        return "fixed" if base and base.outcome == "unsolved" else "passed"
    if base is None or base.outcome == "unsupported":
        return "unsolved"
    return "unsolved by both" if base.outcome == "unsolved" else "regressed"


def _details(record: Record, base: Record | None, kind: Kind, run: AllureRun) -> Json:
    """Return message and trace; Allure shows `expected` and `actual` as a difference, here of two completions."""
    if kind in {"passed", "fixed"}:
        details: Json = {"message": f"fixed: {run.summary.baseline} did not solve it"} if kind == "fixed" else {}
    elif kind == "regressed":
        details = {"message": f"regressed: {run.summary.baseline} solved it, {record.recipe} did not. {record.reason}"}
    else:
        details = {"message": f"{kind}: {record.reason}"}
    if base and kind in {"regressed", "fixed"}:
        details |= {"expected": base.samples[0].completion.text, "actual": record.samples[0].completion.text}
    return {name: writable(text) for name, text in details.items()}


def _parameters(record: Record, run: AllureRun) -> Iterator[Json]:
    """Yield what identifies a case, then measurements, which change from run to run and are left out of its history."""
    case = record.case
    yield {"name": "benchmark", "value": case.benchmark}
    yield {"name": "task_id", "value": case.task_id}
    if not case.is_own:
        yield {"name": "perturbation", "value": case.perturbation or "half of the solution given"}
        yield {"name": "seed", "value": str(case.seed)}
    yield {"name": "recipe", "value": record.recipe}
    for name, value in _measured(record, run):
        yield {"name": name, "value": value, "excluded": True}


def _measured(record: Record, run: AllureRun) -> Iterator[tuple[str, str]]:
    samples, costs = record.samples, run.summary.efficiency.get(record.recipe)
    tokens = sum(sample.completion.n_tokens or 0 for sample in samples)
    if tokens:
        yield "generated tokens", str(tokens)
    first = [sample.completion.ttft_s for sample in samples if sample.completion.ttft_s is not None]
    if first:
        yield "TTFT in batch, s", f"{min(first):.2f}"
    last = [sample.completion.duration_s for sample in samples if sample.completion.duration_s is not None]
    if last:
        yield "time in batch, s", f"{max(last):.2f}"
    if executed := sum(sample.execution.duration_s for sample in samples):
        yield "execution, s", f"{executed:.3f}"
    if costs and costs.energy.energy_wh is not None and costs.new_tokens and tokens:
        mwh = 1000 * costs.energy.energy_wh * tokens / costs.new_tokens
        yield f"mWh, {costs.energy.provenance}", f"{mwh:.3g}"
    for name, value in record.measurements.items():
        yield name, f"{value:.3f}"


def _case_labels(record: Record, kind: Kind, run: AllureRun) -> Iterator[Json]:
    yield {"name": "severity", "value": _LOOKS[kind].severity}
    if record.case.perturbation:
        yield {"name": "subSuite", "value": record.case.perturbation}
    if kind not in {"passed", "unsolved"}:
        yield {"name": "tag", "value": kind}
    if run.saved(record.recipe, record.case):
        yield {"name": "tag", "value": "from the saved baseline"}


def _description(record: Record, run: AllureRun) -> str:
    if run.saved(record.recipe, record.case):
        origin = run.summary.run.saved_baseline or {}
        return f"From the saved baseline of {origin.get('started_at', 'an earlier run')}."
    return (
        "The duration is this case's share of generating, by its tokens, and the execution of its programs; so is the "
        "energy. Completions are generated in batches, and the times in the batch overlap."
    )


def _complete_executions(steps: Sequence[Json], record: Record) -> None:
    """Give the steps of executions their status; all steps passed in the process that wrote them."""
    executed = (step for step in steps if step["name"].startswith("execution"))
    for step, sample in zip(executed, record.samples, strict=False):
        step["status"] = _STEP_STATUS.get(sample.execution.status, "broken")
        step["stop"] = step["start"] + round(1000 * sample.execution.duration_s)


def _attach_difference(steps: Sequence[Json], record: Record, base: Record, folder: Path) -> None:
    """Attach the baseline's completion to the first completion's step, and the difference from it."""
    step = next((step for step in steps if step["name"].startswith("completion")), None)
    if step is None:
        return
    theirs, own = (writable(one.samples[0].completion.text) for one in (base, record))
    lines = unified_diff(theirs.splitlines(), own.splitlines(), fromfile=base.recipe, tofile=record.recipe, lineterm="")
    for name, text in ((f"completion of {base.recipe}", theirs), (f"difference from {base.recipe}", "\n".join(lines))):
        source = f"{uuid4()}-attachment.txt"
        (folder / source).write_text(text, encoding="utf-8")
        step.setdefault("attachments", []).append({"name": name, "source": source, "type": "text/plain"})


def _own_seconds(record: Record, run: AllureRun) -> float | None:
    """Return the seconds that a case took by itself; None where the recipe's throughput is not known."""
    costs = run.summary.efficiency.get(record.recipe)
    tokens = [sample.completion.n_tokens for sample in record.samples]
    if costs is None or costs.throughput is None or None in tokens or run.saved(record.recipe, record.case):
        return None
    generating = sum(count or 0 for count in tokens) / costs.throughput
    return generating + sum(sample.execution.duration_s for sample in record.samples)
