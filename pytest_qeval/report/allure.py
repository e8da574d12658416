"""Allure results: texts for each case, and one test per gate, through allure-pytest's own classes."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from pytest_qeval.schema import Problem, Record
from pytest_qeval.summary.results import GateResult


def describe_case(record: Record, problem: Problem) -> None:
    """Set title, suites, description and attachments of the running Allure test.

    Nothing volatile becomes a parameter: case and recipe identify the test, so that its history survives every run.
    """
    import allure  # noqa: PLC0415 - an extra

    allure.dynamic.title(f"{record.case.label} · {record.recipe}")
    allure.dynamic.parent_suite(record.case.benchmark)
    allure.dynamic.suite(record.recipe)
    allure.dynamic.description(_description(record))
    texts = [("prompt", problem.prompt)]
    for index, sample in enumerate(record.samples):
        name = "completion" if len(record.samples) == 1 else f"completion {index}: {sample.execution.status}"
        texts.append((name, sample.completion.text))
    if problem.suffix:
        texts.append(("suffix", problem.suffix))
    texts.append(("canonical solution" if problem.test else "reference", problem.canonical_solution))
    if problem.test:
        texts.append(("test", problem.test))
    for name, text in texts:
        allure.attach(text, name=name, attachment_type=allure.attachment_type.TEXT)


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
    """Write one Allure result for every gate; its identity depends on nothing but the gate."""
    from allure_commons.logger import AllureFileLogger  # noqa: PLC0415 - an extra
    from allure_commons.model2 import Label, Parameter, Status, StatusDetails, TestResult  # noqa: PLC0415 - an extra

    logger = AllureFileLogger(str(folder))
    now_ms = round(time.time() * 1000)
    for gate in gates:
        subject = f"{gate.recipe}, {gate.benchmark}" if gate.benchmark else gate.recipe
        identity = f"pytest_qeval gate {gate.expression} {subject}"
        digest = hashlib.md5(identity.encode(), usedforsecurity=False).hexdigest()  # Allure's own form of identity
        logger.report_result(
            TestResult(
                uuid=str(uuid.uuid4()),
                name=f"{gate.expression} ({subject})",
                fullName=identity,
                historyId=digest,
                testCaseId=digest,
                status=Status.PASSED if gate.outcome == "pass" else Status.FAILED,
                statusDetails=StatusDetails(message=f"{gate.reason}; {gate.evidence}"),
                parameters=[Parameter(name="recipe", value=gate.recipe)],
                labels=[Label(name="parentSuite", value="gates"), Label(name="suite", value=gate.recipe)],
                start=now_ms,
                stop=now_ms,
            )
        )
