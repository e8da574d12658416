"""`--qeval-compare A B`: the verdict on two finished runs, from their `records.jsonl` alone."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_qeval.config.ci import step_summary
from pytest_qeval.config.comparison import ComparisonSettings, read_comparison
from pytest_qeval.config.origins import with_origin
from pytest_qeval.errors import QEvalError, counted
from pytest_qeval.hooks.open_page import open_page
from pytest_qeval.report.annotations import ON_GITHUB, annotation_lines
from pytest_qeval.report.files import check_folder, write_pages, write_report
from pytest_qeval.report.folding import fit
from pytest_qeval.report.reporter import RunResults
from pytest_qeval.report.reporters import call_reporters
from pytest_qeval.report.terminal import lines
from pytest_qeval.verdict.compare import FinishedRun, join_runs
from pytest_qeval.verdict.conclude import conclude
from pytest_qeval.verdict.gates.checks import check_gates, check_provable


def compare_runs(config: pytest.Config) -> int:
    """Compare two finished runs, print and write the report, and return the exit status.

    Raises:
        pytest.UsageError: when they cannot be read, or cannot be compared.
    """
    try:
        return _compare(read_comparison(config))
    except QEvalError as error:
        raise pytest.UsageError(with_origin(error, config)) from error


def _compare(settings: ComparisonSettings) -> int:
    check_folder(settings.output)
    a, b = FinishedRun.read(settings.a), FinishedRun.read(settings.b)
    joint = join_runs(a, b, force=settings.force)
    check_gates(
        settings.gates, candidates=joint.roles.candidates, benchmarks={case.benchmark for _, case in joint.planned}
    )
    check_provable(settings.gates, require_proof=settings.require_proof)
    verdict = conclude(
        joint.collector,
        run=joint.run,
        duration_s=0.0,
        planned=joint.planned,
        roles=joint.roles,
        gates=settings.gates,
        require_proof=settings.require_proof,
        allow_missing=settings.allow_missing,
    )
    settings.output.mkdir(parents=True, exist_ok=True)
    write_report(settings.output, verdict.summary, verdict.gates)
    notes = write_pages(
        settings.output,
        verdict.summary,
        verdict.gates,
        joint.collector.records,
        step_summary=step_summary(os.environ),
    )
    results = RunResults.of(joint.collector, joint.planned, verdict.summary, verdict.gates)
    notes += call_reporters(results, settings.output)
    if joint.left_out:
        sys.stdout.write(f"left out: {counted(joint.left_out, 'case')} of {settings.a}, which {settings.b} lacks\n")
    shown = lines(verdict.summary, verdict.gates, output=settings.output)
    for line in fit((*shown, *notes), is_terminal=sys.stdout.isatty()):
        sys.stdout.write(f"{line.text}\n")
    if os.environ.get(ON_GITHUB) == "true":
        sys.stdout.writelines(f"{line}\n" for line in annotation_lines(verdict.gates))
    if settings.open_page:
        sys.stdout.write(f"{open_page(settings.output)}\n")
    return int(pytest.ExitCode.OK if verdict.holds else pytest.ExitCode.TESTS_FAILED)
