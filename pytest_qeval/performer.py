"""The object that exists wherever the tests of an active session are run: in the one process, or in each worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_qeval.collection import conclude
from pytest_qeval.schema import Json
from pytest_qeval.sharing import plan_ahead

if TYPE_CHECKING:
    from _pytest.reports import TestReport

    from pytest_qeval.runtime import Runtime

__all__ = ["Performer", "messages_of"]

_ATTRIBUTE = "qeval"


class Performer:
    """Hooks between pytest's items and a `Runtime`."""

    def __init__(self, runtime: Runtime) -> None:
        """Take what this process works with."""
        self._runtime = runtime

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know every case that survived selection, to generate ahead."""
        plan_ahead(session.config, self._runtime, session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        """Let an unsolved case end as an expected failure, after the test function is through."""
        yield
        conclude(item, self._runtime)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, TestReport, TestReport]:
        """Let records and facts ride on the report, from whichever process to the one that reports."""
        report = yield
        setattr(report, _ATTRIBUTE, self._runtime.drain())
        return report

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Stop the sandboxes, whatever happened before."""
        self._runtime.close()


def messages_of(report: TestReport) -> list[Json]:
    """Give the messages on a report, perhaps after a journey between processes."""
    messages: list[Json] = getattr(report, _ATTRIBUTE, [])
    return messages
