"""`--qeval-render DIR`: every report of a finished run again, from its `records.jsonl` alone."""

from __future__ import annotations

import sys

import pytest

from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.rendering import RenderSettings, read_rendering
from pytest_qeval.errors import QEvalError
from pytest_qeval.hooks.open_page import open_page
from pytest_qeval.report.files import check_folder, write_pages, write_report, write_samples
from pytest_qeval.report.folding import fit
from pytest_qeval.report.reporter import RunResults
from pytest_qeval.report.reporters import call_reporters
from pytest_qeval.report.terminal import lines
from pytest_qeval.verdict.compare import FinishedRun
from pytest_qeval.verdict.reread import conclude_again


def render_run(config: pytest.Config) -> int:
    """Write the reports, print the summary, and return the exit status that the gates decide.

    Raises:
        pytest.UsageError: when the run cannot be read, or the reports cannot be written.
    """
    try:
        return _render(read_rendering(config))
    except QEvalError as error:
        raise pytest.UsageError(with_origin(error, config)) from error


def _render(settings: RenderSettings) -> int:
    found = conclude_again(FinishedRun.read(settings.journal, selftest=True))
    check_folder(settings.output)
    settings.output.mkdir(parents=True, exist_ok=True)
    summary, gates, records = found.verdict.summary, found.verdict.gates, found.collected.records
    write_report(settings.output, summary, gates)
    notes = write_pages(settings.output, summary, gates, records)
    if summary.selftest is None:
        write_samples(settings.output, found.planned, records)
        notes += call_reporters(RunResults.of(found.collected, found.planned, summary, gates), settings.output)
    shown = lines(summary, gates, output=settings.output, verbosity=settings.verbosity, records=records)
    said = [note for note in notes if settings.verbosity >= 0 or note.colour]
    for line in fit((*shown, *said), is_terminal=sys.stdout.isatty()):
        sys.stdout.write(f"{line.text}\n")
    if settings.open_page:
        sys.stdout.write(f"{open_page(settings.output)}\n")
    if summary.interrupted:
        return int(pytest.ExitCode.INTERRUPTED)
    return int(pytest.ExitCode.OK if found.verdict.holds else pytest.ExitCode.TESTS_FAILED)
