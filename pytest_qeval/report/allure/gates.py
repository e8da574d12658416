"""Gates and costs as Allure results of their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from pytest_qeval.report.allure.text import identity
from pytest_qeval.report.costs import cost_lines
from pytest_qeval.report.text import model_name
from pytest_qeval.summary.results import GateResult, Summary


def write_gates(folder: Path, gates: Sequence[GateResult], *, model: str) -> None:
    """Write one result for every gate; its identity depends on nothing but the gate."""
    for gate in gates:
        subject = f"{gate.recipe}, {gate.benchmark}" if gate.benchmark else gate.recipe
        _write(
            folder,
            name=gate.label,
            full_name=f"gate:{gate.expression}:{subject}",
            labels=(model, "gates", gate.recipe),
            passed=gate.outcome == "pass",
            message=f"gate {'holds' if gate.outcome == 'pass' else 'broken'}: {gate.reason}; {gate.evidence}",
            severity="blocker",
        )


def write_costs(folder: Path, summary: Summary) -> None:
    """Write one result with the table of costs, as the terminal shows it; none where nothing was measured."""
    if text := "\n".join(line.text for line in cost_lines(summary)).strip("\n"):
        _write(
            folder,
            name="costs of all recipes",
            full_name="costs",
            labels=(model_name(summary.run), "costs", "all recipes"),
            passed=True,
            message="",
            severity="normal",
            table=text,
        )


def _write(
    folder: Path,
    *,
    name: str,
    full_name: str,
    labels: tuple[str, str, str],
    passed: bool,
    message: str,
    severity: str,
    table: str = "",
) -> None:
    from allure_commons.logger import AllureFileLogger  # noqa: PLC0415 - an extra
    from allure_commons.model2 import (  # noqa: PLC0415 - an extra
        Attachment,
        Label,
        Status,
        StatusDetails,
        TestResult,
    )

    epic, feature, story = labels
    logger, now_ms = AllureFileLogger(str(folder)), round(time.time() * 1000)
    result = TestResult(
        uuid=str(uuid.uuid4()),
        name=name,
        fullName=full_name,
        historyId=identity(full_name),
        testCaseId=identity(full_name),
        status=Status.PASSED if passed else Status.FAILED,
        statusDetails=StatusDetails(message=message) if message else None,
        labels=[
            Label(name="epic", value=epic),
            Label(name="feature", value=feature),
            Label(name="story", value=story),
            Label(name="parentSuite", value=feature),
            Label(name="suite", value=story),
            Label(name="severity", value=severity),
        ],
        start=now_ms,
        stop=now_ms,
    )
    if table:
        source = f"{uuid.uuid4()}-attachment.txt"
        logger.report_attached_data(table, source)
        result.attachments = [Attachment(name=name, source=source, type="text/plain")]
    logger.report_result(result)
