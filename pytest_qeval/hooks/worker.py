"""The object that exists wherever the tests of an active session are run: in the one process, or in each worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.fixtures import RECORD
from pytest_qeval.hooks.collect import early_stop_reason, end_test
from pytest_qeval.hooks.xdist import plan_ahead
from pytest_qeval.records.messages import Message, from_plain, to_plain
from pytest_qeval.schema import Record

if TYPE_CHECKING:
    from _pytest.reports import TestReport

    from pytest_qeval.run.context import RunContext

__all__ = ["Worker", "messages_of"]

_ATTRIBUTE = "qeval"


class Worker:
    """Hooks between pytest's items and a `RunContext`."""

    def __init__(self, runtime: RunContext, *, allure: bool) -> None:
        """Take what this process works with; `allure` says that Allure results are written."""
        self._runtime = runtime
        self._allure = allure

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know every case that survived selection, to generate ahead."""
        plan_ahead(session.config, self._runtime, session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Leave out what a recipe need not be asked any more."""
        reason = early_stop_reason(item, self._runtime)
        if reason:
            pytest.skip(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Let an unsolved case end as an expected failure, after the test function is through."""
        yield
        record = item.stash.get(RECORD, None)
        if record is not None:
            self._describe(record)
            end_test(record, self._runtime)

    def _describe(self, record: Record) -> None:
        if self._allure:
            from pytest_qeval.report.allure import describe_case  # noqa: PLC0415 - an extra

            describe_case(record, self._runtime.case_problems.of(record.case))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, TestReport, TestReport]:
        """Let records and facts ride on the report, from whichever process to the one that reports."""
        report = yield
        setattr(report, _ATTRIBUTE, list(map(to_plain, self._runtime.drain())))
        return report

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Stop the sandboxes, whatever happened before."""
        self._runtime.close()


def messages_of(report: TestReport) -> list[Message]:
    """Return the messages on a report, perhaps after a journey between processes."""
    return list(map(from_plain, getattr(report, _ATTRIBUTE, [])))
