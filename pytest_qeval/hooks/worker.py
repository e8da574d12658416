"""The hooks of every process that runs tests: the only one, or each worker of pytest-xdist."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.fixtures import ITEM, RECORD, TIMER, untimed
from pytest_qeval.hooks.collect import check, reuse, select_named
from pytest_qeval.hooks.items import case_of, deselect_exactly, end_test, name_after_suite, recipe_of
from pytest_qeval.hooks.share import plan_ahead, take_share
from pytest_qeval.records.messages import Message, from_plain, to_plain
from pytest_qeval.schema import Record

if TYPE_CHECKING:
    from _pytest.reports import TestReport

    from pytest_qeval.run.context import RunContext

_ATTRIBUTE = "qeval"
_REUSED = "qeval_reused"


class Worker:
    """Hooks between test items and a `RunContext`."""

    def __init__(self, context: RunContext, *, is_one_of_many: bool, allure: bool, runs_suites: bool) -> None:
        """Take the parts of this process.

        Args:
            context: What evaluates.
            is_one_of_many: Whether pytest-xdist runs this process for a controller, which sends its share.
            allure: Whether Allure results are written.
            runs_suites: Whether the tests are those of suites, and not of files that the user names.
        """
        self._context = context
        self._awaits_share = is_one_of_many
        self._allure = allure
        self._runs_suites = runs_suites
        self._item: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Name the tests of suites after them."""
        if self._runs_suites:
            name_after_suite(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
        """Check the collected benchmarks, leave out what a saved baseline has, and load every recipe once."""
        check(config, self._context, items)
        if self._runs_suites:
            deselect_exactly(config, items)
            select_named(config, items)
        yield  # pytest selects and sorts
        reuse(config, self._context, items)

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan every case that survived selection, to generate ahead."""
        plan_ahead(session.config, self._context, session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Plan the share of a worker of pytest-xdist, which is sent before its first test."""
        if self._awaits_share:
            self._awaits_share = False
            take_share(item.session, self._context)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a case once its recipe's gates are decided."""
        item.config.stash[ITEM] = self._item = item
        if reason := self._context.early_stop.reason(recipe_of(item), case_of(item)):
            pytest.skip(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Let an unsolved case end as an expected failure, after the test function is through."""
        if self._allure and (recipe := recipe_of(item)):
            from pytest_qeval.report.allure.case import begin_test  # noqa: PLC0415 - an extra

            begin_test(recipe, case_of(item), name=getattr(item, "originalname", item.name).removeprefix("test_"))
        yield
        record = item.stash.get(RECORD, None)
        if record is not None:
            self._describe(record)
            end_test(record, self._context.settings, self._context.outcomes)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: object) -> None:
        """Remember how pytest-timeout limits a test, to leave out what the model takes."""
        item.stash[TIMER] = settings

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> None:
        """Forget it, once the limit ends."""
        item.stash[TIMER] = None

    def _describe(self, record: Record) -> None:
        if self._allure:
            from pytest_qeval.report.allure.case import describe_case  # noqa: PLC0415 - an extra

            describe_case(record, self._context.problems.of(record.case))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, TestReport, TestReport]:
        """Attach the messages to the report, which carries them to the process that reports.

        An unsolved case stays an expected failure where pytest lets those fail: under `--runxfail`, and without its
        plugin `skipping`.
        """
        report = yield
        if RECORD in item.stash and call.excinfo and isinstance(call.excinfo.value, pytest.xfail.Exception):
            report.outcome, report.wasxfail = "skipped", f"reason: {call.excinfo.value.msg}"
        messages = self._context.drain()
        with untimed(item) if messages else nullcontext():
            setattr(report, _ATTRIBUTE, list(map(to_plain, messages)))
        record = item.stash.get(RECORD, None)
        if record is not None and call.when == "call" and record not in messages:
            setattr(report, _REUSED, to_plain(record))
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: TestReport) -> Generator[None]:
        """Let other hooks, and the workers of pytest-xdist, pass the messages on without a time limit."""
        has_messages = bool(getattr(report, _ATTRIBUTE, None))
        with untimed(self._item) if self._item and has_messages else nullcontext():
            yield

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Stop the sandboxes, whatever happened before."""
        self._context.close()


def reused_record(report: TestReport) -> Record | None:
    """Return the record that a test has shown instead of a new one: the saved baseline's, or one of this run."""
    row = getattr(report, _REUSED, None)
    found = from_plain(row) if row else None
    return found if isinstance(found, Record) else None


def messages_of(report: TestReport) -> list[Message]:
    """Return the messages attached to a report."""
    return list(map(from_plain, getattr(report, _ATTRIBUTE, [])))
