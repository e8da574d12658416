"""Allure: one readable test a case, through allure-pytest's own results, and one test a gate beside them."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from pytest_qeval.schema import Problem, Record
from pytest_qeval.summary.results import GateResult

__all__ = ["describe_case", "write_gates"]

_SUITE = "gates"


def describe_case(record: Record, problem: Problem) -> None:
    """Return the running Allure test a title, labels and the texts a person wants to see.

    Nothing volatile becomes a parameter: case and recipe identify the test, so that its history survives every run.
    """
    import allure  # noqa: PLC0415 - an extra

    allure.dynamic.title(f"{record.case.label} · {record.recipe}")
    allure.dynamic.parent_suite(record.case.benchmark)
    allure.dynamic.suite(record.recipe)
    allure.dynamic.description(_description(record))
    python = allure.attachment_type.TEXT
    allure.attach(problem.prompt, name="prompt", attachment_type=python)
    for index, sample in enumerate(record.samples):
        name = "completion" if len(record.samples) == 1 else f"completion {index}: {sample.execution.status}"
        allure.attach(sample.completion.text, name=name, attachment_type=python)
    name = "canonical solution" if problem.test else "reference"
    allure.attach(problem.canonical_solution, name=name, attachment_type=python)
    if problem.test:
        allure.attach(problem.test, name="test", attachment_type=python)


def _description(record: Record) -> str:
    lines = []
    for sample in record.samples:
        completion, execution = sample.completion, sample.execution
        parts = [f"**{execution.status}**", execution.detail, f"ended by {completion.finish_reason}"]
        if completion.n_tokens is not None:
            parts.append(f"{completion.n_tokens} tokens")
        if completion.duration_s is not None:
            parts.append(f"{completion.duration_s:.2f} s in the batch")
        lines.append("- " + " · ".join(part for part in parts if part))
    lines += [f"- {name}: {value:.3f}" for name, value in record.measurements.items()]
    return "\n".join(lines)


def write_gates(folder: Path, gates: Sequence[GateResult]) -> None:
    """Write one Allure result for every judged gate, with an identity that depends on nothing but the gate."""
    from allure_commons.logger import AllureFileLogger  # noqa: PLC0415 - an extra
    from allure_commons.model2 import (  # noqa: PLC0415 - an extra
        Label,
        Parameter,
        Status,
        StatusDetails,
        TestResult,
    )

    logger = AllureFileLogger(str(folder))
    now_ms = round(time.time() * 1000)
    for gate in gates:
        about = f"{gate.recipe}, {gate.benchmark}" if gate.benchmark else gate.recipe
        identity = f"pytest_qeval gate {gate.expression} {about}"
        digest = hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()  # Allure's own form of identity
        logger.report_result(
            TestResult(
                uuid=str(uuid.uuid4()),
                name=f"{gate.expression} ({about})",
                fullName=identity,
                historyId=digest,
                testCaseId=digest,
                status=Status.PASSED if gate.outcome == "pass" else Status.FAILED,
                statusDetails=StatusDetails(message=f"{gate.reason}; {gate.evidence}"),
                parameters=[Parameter(name="recipe", value=gate.recipe)],
                labels=[Label(name="parentSuite", value=_SUITE), Label(name="suite", value=gate.recipe)],
                start=now_ms,
                stop=now_ms,
            )
        )
