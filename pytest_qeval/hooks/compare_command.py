"""`--qeval-compare A B`: the verdict on two finished runs, from their `records.jsonl` alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.errors import QEvalError

if TYPE_CHECKING:
    from pytest_qeval.config.comparison import ComparisonSettings


def compare_runs(config: pytest.Config) -> int | None:
    """Compare two finished runs, print and write the report, and give the exit status; None when nobody asked.

    Raises:
        pytest.UsageError: when they cannot be read, or cannot be compared.
    """
    if not config.getoption("qeval_compare"):
        return None
    from pytest_qeval.config.comparison import read_comparison  # noqa: PLC0415 - an inert plugin must cost next to nothing
    from pytest_qeval.config.origins import with_origin  # noqa: PLC0415 - as above

    try:
        return _compare(read_comparison(config))
    except QEvalError as error:
        raise pytest.UsageError(with_origin(str(error), config)) from error


def _compare(settings: ComparisonSettings) -> int:
    from pytest_qeval.report.files import check_folder, write_report  # noqa: PLC0415
    from pytest_qeval.report.terminal import lines  # noqa: PLC0415
    from pytest_qeval.verdict.compare import FinishedRun, join_runs  # noqa: PLC0415 - as above
    from pytest_qeval.verdict.conclude import conclude  # noqa: PLC0415
    from pytest_qeval.verdict.gates.checks import check_gates  # noqa: PLC0415

    check_folder(settings.output)
    a, b = FinishedRun.read(settings.a), FinishedRun.read(settings.b)
    joint = join_runs(a, b, force=settings.force)
    check_gates(
        settings.gates, candidates=joint.roles.candidates, benchmarks={case.benchmark for _, case in joint.planned}
    )
    verdict = conclude(
        joint.collector,
        run=joint.run,
        duration_s=0.0,
        planned=joint.planned,
        roles=joint.roles,
        gates=settings.gates,
        require_proof=settings.require_proof,
    )
    settings.output.mkdir(parents=True, exist_ok=True)
    write_report(settings.output, verdict.summary, verdict.gates)
    if joint.left_out:
        sys.stdout.write(f"left out: {joint.left_out} cases of {settings.a} that {settings.b} does not have\n")
    for line in lines(verdict.summary, verdict.gates, output=settings.output):
        sys.stdout.write(f"{line.text}\n")
    return int(pytest.ExitCode.OK if verdict.holds else pytest.ExitCode.TESTS_FAILED)
