"""The object that exists only where a session reports: one process without xdist, the controller with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.fixtures import RUNTIME
from pytest_qeval.hooks.collect import SAVED, find_reusable, plan_of
from pytest_qeval.hooks.worker import messages_of
from pytest_qeval.schema import SCORES, Case, Record

if TYPE_CHECKING:
    from _pytest.reports import TestReport
    from _pytest.terminal import TerminalReporter

    from pytest_qeval.session import Session

__all__ = ["Controller"]

_LOOKS: dict[str, tuple[str, str, tuple[str, dict[str, bool]]]] = {
    "solved": ("passed", ".", ("SOLVED", {"green": True})),
    "unsolved": ("unsolved", "u", ("UNSOLVED", {"yellow": True})),
    "regressed": ("regressed", "R", ("REGRESSED", {"red": True})),
    "fixed": ("fixed", "+", ("FIXED", {"green": True, "bold": True})),
}


class Controller:
    """Hooks between pytest and a `Session`."""

    def __init__(self, session: Session, *, distributed: bool, allure: Path | None) -> None:
        """Take the session.

        Args:
            session: what is told and asked.
            distributed: whether workers collect and run the tests.
            allure: where Allure results are written, if they are.
        """
        self._allure = allure
        self.session = session
        self._distributed = distributed

    @pytest.hookimpl
    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        """Say what will be run before it is collected, if it will."""
        if config.option.collectonly:
            return []
        return [f"qeval: {line}" for line in self.session.header()]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take the plan, unless workers collect or nothing is to be run: then there is nothing to report either."""
        if not self._distributed and not session.config.option.collectonly:
            self.announce(session.config, [(recipe, case) for recipe, case in plan_of(session.items) if recipe])

    def announce(self, config: pytest.Config, planned: Sequence[tuple[str, Case | None]]) -> None:
        """Let the session take the plan, and say what it can prove.

        Raises:
            UsageError: when the saved baseline that the user named does not have it all.
        """
        saved = config.stash.get(SAVED, None)
        cases = [case for _, case in planned if case]
        if saved:
            self.session.plan(planned, find_reusable(saved, config.stash[RUNTIME], cases))
        else:
            self.session.plan(planned)
        terminal: TerminalReporter | None = config.pluginmanager.getplugin("terminalreporter")
        if terminal and config.option.verbose >= 0:
            runtime = config.stash[RUNTIME]
            executed = (case for case in cases if not runtime.is_scored(case.benchmark))
            for line in self.session.preview(executed):
                terminal.write_line(f"qeval: {line}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: TestReport) -> None:
        """Hand the messages that ride on a report to the session."""
        for message in messages_of(report):
            self.session.add(message)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show solved, unsolved, regressed, fixed and scored cases as what they are."""
        if report.when != "call" or report.outcome == "failed" or self.session.is_selftest:
            return None
        record = next((message for message in messages_of(report) if isinstance(message, Record)), None)
        if record is None:
            return None
        if record.outcome == "scored":
            shown = " ".join(f"{name} {100 * record.measurements[name]:.1f}" for name in SCORES)
            return "scored", ".", (f"SCORED {shown}", {"green": True})
        return _LOOKS[self.session.outcome(record.recipe, record.case, record.outcome)]

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Conclude; a broken gate turns success into failure."""
        holds = self.session.finish()
        if self._allure:
            from pytest_qeval.report.allure import write_gates  # noqa: PLC0415 - an extra

            write_gates(self._allure, self.session.gates)
        if not holds and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Write the summary."""
        lines = list(self.session.lines())
        if lines:
            terminalreporter.section("qeval")
        for text, colour in lines:
            terminalreporter.write_line(text, **({colour: True} if colour else {}))
