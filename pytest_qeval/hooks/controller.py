"""The hooks of the process that reports: the only one, or the controller of pytest-xdist."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.values import Values
from pytest_qeval.errors import QEvalError
from pytest_qeval.fixtures import CONTEXT
from pytest_qeval.hooks.items import plan_of
from pytest_qeval.hooks.junit import JUnit
from pytest_qeval.hooks.open_page import open_page
from pytest_qeval.hooks.worker import messages_of, reused_record
from pytest_qeval.report.annotations import ON_GITHUB, annotation_lines
from pytest_qeval.report.folding import fit
from pytest_qeval.schema import SCORES, Case, Record
from pytest_qeval.session import UNJUDGED

if TYPE_CHECKING:
    from _pytest.reports import TestReport
    from _pytest.terminal import TerminalReporter

    from pytest_qeval.hooks.interrupts import Interrupts
    from pytest_qeval.session import Session

_LOOKS: dict[str, tuple[str, str, tuple[str, dict[str, bool]]]] = {
    "solved": ("passed", ".", ("SOLVED", {"green": True})),
    "unsolved": ("unsolved", "u", ("UNSOLVED", {"yellow": True})),
    "unsupported": ("unsupported", "?", ("UNSUPPORTED", {"yellow": True})),
    "regressed": ("regressed", "R", ("REGRESSED", {"red": True})),
    "fixed": ("fixed", "+", ("FIXED", {"green": True, "bold": True})),
}


class Controller:
    """Hooks between pytest and a `Session`; a pytest session that runs no test has none."""

    def __init__(self, session: Session, *, distributed: bool, allure: Path | None, interrupts: Interrupts) -> None:
        """Take the session."""
        self._interrupts = interrupts
        self._allure = allure
        self.session = session
        self._distributed = distributed
        self._junit: JUnit | None = None
        self._loop_ended = False
        self._ended: set[str] = set()
        """Ids of the tests that were run to their ends."""

    @pytest.hookimpl
    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        """Describe the run before collection."""
        lines = [f"qeval: {line}" for line in self.session.header()]
        if config.pluginmanager.hasplugin("timeout") and (config.getoption("timeout") or config.getini("timeout")):
            lines.append("qeval: the timeout of a test does not count what the model takes; --session-timeout does")
        return lines

    @pytest.hookimpl
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin."""
        self._pytest_session = session
        self.session.begin()
        self._junit = JUnit.of(session.config, self.session)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take the plan, unless workers collect it."""
        if not self._distributed:
            try:
                self.announce(session.config, [(recipe, case) for recipe, case in plan_of(session.items) if recipe])
            except QEvalError as error:
                session.items.clear()
                raise pytest.UsageError(with_origin(error, session.config)) from error

    def announce(self, config: pytest.Config, planned: Sequence[tuple[str, Case | None]]) -> None:
        """Pass the plan to the session, and write what it can prove.

        Raises:
            UsageError: when the saved baseline that the user named lacks a case.
        """
        context, cases = config.stash[CONTEXT], [case for _, case in planned if case]
        names = dict.fromkeys(case.benchmark for case in cases)
        self.session.plan(
            planned, context.find_reusable(cases) if context.saved else None, list(map(context.benchmarks.facts, names))
        )
        terminal: TerminalReporter | None = config.pluginmanager.getplugin("terminalreporter")
        if terminal and config.option.verbose >= 0:
            executed = {case for case in cases if not context.benchmarks.is_scored(case.benchmark)}
            counted = context.benchmarks.counted_once(executed)
            for line in (*context.notes(cases), *self.session.preview(executed, counted, context.benchmarks.cluster)):
                terminal.write_line(f"qeval: {line}")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Note whether the loop came to its end: an interruption, `-x` and the like leave it by an exception."""
        found = yield
        self._loop_ended = True
        return found

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: TestReport) -> None:
        """Pass the messages on a report to the session."""
        for message in messages_of(report):
            self.session.add(message)
        if self.session.stop:
            self._stop()
        if report.when == "teardown":
            self._ended.add(report.nodeid)
        if self._junit and report.when == "call" and (record := _record_of(report)):
            self._junit.add(report, record)

    def _stop(self) -> None:
        """Let pytest end after this test, and pytest-xdist, which looks at an object of its own."""
        distributed = self._pytest_session.config.pluginmanager.getplugin("dsession")
        for one in (self._pytest_session, distributed):
            if one is not None:
                one.shouldstop = "the records cannot be written"

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show solved, unsolved, regressed, fixed and scored cases by their own words."""
        if report.when != "call" or report.outcome not in {"passed", "skipped"} or self.session.is_selftest:
            return None  # pytest's word for it, or another plugin's, such as `rerun`
        record = _record_of(report)
        if record is None:
            return None
        if self.session.is_saved(record.recipe, record.case):
            return "from the saved baseline", "u" if record.outcome == "unsolved" else ".", ("SAVED", {"cyan": True})
        if record.outcome == "scored":
            shown = " ".join(f"{name} {100 * record.measurements[name]:.1f}" for name in SCORES)
            return "scored", ".", (f"SCORED {shown}", {"green": True})
        return _LOOKS[self.session.outcome(record.recipe, record.case, record.outcome)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Conclude, before other plugins write their reports; what fails the run turns success into failure."""
        self._interrupts.begin_end()
        are_all_run = len(self._ended) == session.testscollected  # `-x` may also stop at the last one
        holds = self.session.finish(interrupted=not (self._loop_ended or are_all_run))
        if self._allure:
            from pytest_qeval.report.allure.run import finish_results  # noqa: PLC0415 - an extra

            finish_results(self._allure, self.session.finished(), self.session.gates)
        if self.session.stop and session.exitstatus == pytest.ExitCode.OK:  # none was left to be stopped
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        succeeded = session.exitstatus == pytest.ExitCode.OK
        if not holds and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if succeeded and self.session.is_unjudged and Values(session.config).typed_options:
            # Ordinary tests passed, and the gates look as if they held.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self.session.fault = UNJUDGED
        if self._junit:
            self._junit.finish(self.session.fault)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Write the summary; where the terminal's width is known, no line is longer."""
        lines = list(self.session.lines(terminalreporter.config.option.verbose))
        if lines:
            terminalreporter.section("qeval")
        for text, colour in fit(lines, is_terminal=bool(terminalreporter.isatty)):
            terminalreporter.write_line(text, **({colour: True} if colour else {}))
        if os.environ.get(ON_GITHUB) == "true":
            for line in annotation_lines(self.session.gates, self.session.fault):
                terminalreporter.write_line(line)
        if self.session.settings.open_page and self.session.summary:
            terminalreporter.write_line(open_page(self.session.output))


def _record_of(report: TestReport) -> Record | None:
    """Return the record of a test's case, new or from the saved baseline."""
    found = (message for message in messages_of(report) if isinstance(message, Record))
    return reused_record(report) or next(found, None)
