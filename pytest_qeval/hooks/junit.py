"""`--junitxml`: pytest's own plugin writes the file; this adds the gates, and what each case means, before it does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement

import pytest
from _pytest.junitxml import LogXML, bin_xml_escape, xml_key

from pytest_qeval.report.junit import ExtraTest, case_message, case_properties, gate_test, suite_properties
from pytest_qeval.schema import Record

if TYPE_CHECKING:
    from _pytest.junitxml import _NodeReporter

    from pytest_qeval.session import Session

_SUITE = "qeval-gates"
"""Class name of the test cases that no test function stands for."""


class JUnit:
    """What a session adds to pytest's `LogXML`.

    pytest has no public way to add to the file at the end of a session. Of its private parts this uses the stash key,
    `node_reporter` and `to_xml`; gates go in by the public hook, as test reports.
    """

    def __init__(self, xml: LogXML, session: Session) -> None:
        """Take pytest's plugin, and the session that knows outcomes and gates."""
        self._xml = xml
        self._session = session
        self._cases: list[tuple[_NodeReporter, Record]] = []

    @classmethod
    def of(cls, config: pytest.Config, session: Session) -> JUnit | None:
        """Return None where the user wants no such file."""
        xml = config.stash.get(xml_key, None)
        return cls(xml, session) if xml else None

    def add(self, report: pytest.TestReport, record: Record) -> None:
        """Note a case; called before pytest's plugin sees the report."""
        reporter = self._xml.node_reporter(report)
        for name, value in case_properties(record):
            reporter.add_property(name, value)
        self._cases.append((reporter, record))

    def finish(self, fault: str) -> None:
        """Complete the file that is about to be written.

        With workers, only now it is known what the baseline solved.

        Args:
            fault: Why the run fails although no gate is broken, empty where it does not.
        """
        for reporter, record in self._cases:
            self._describe(reporter.to_xml(), record)
        summary, gates = self._session.summary, self._session.gates
        if summary:
            for name, value in suite_properties(summary, gates):
                self._xml.add_global_property(name, value)
            for gate in gates:
                self._log(gate_test(gate, summary))
        if fault:
            self._log(ExtraTest(name="run", failure=fault))

    def _describe(self, test: Element, record: Record) -> None:
        properties, skipped = test.find("properties"), test.find("skipped")
        if properties is not None:
            outcome = self._session.outcome(record.recipe, record.case, record.outcome)
            SubElement(properties, "property", name="qeval.outcome", value=outcome)
        message = case_message(record, self._session.baseline_record(record.recipe, record.case))
        if skipped is not None and message:
            skipped.set("message", bin_xml_escape(message))

    def _log(self, test: ExtraTest) -> None:
        name = test.name.replace("::", ":")  # which would separate a class from a test
        for when in ("call", "teardown"):
            fails = bool(test.failure) and when == "call"
            self._xml.pytest_runtest_logreport(
                pytest.TestReport(
                    nodeid=f"{_SUITE}::{name}",
                    location=(_SUITE, None, name),
                    keywords={},
                    outcome="failed" if fails else "passed",
                    longrepr=_failure(test) if fails else None,
                    when=when,
                    user_properties=test.properties,
                )
            )


class _Failure(str):
    """The text of a failure with a shorter message, where pytest's plugin looks for it."""

    __slots__ = ("reprcrash",)
    reprcrash: SimpleNamespace


def _failure(test: ExtraTest) -> _Failure:
    text = _Failure("\n".join(filter(None, (test.failure, test.details))))
    text.reprcrash = SimpleNamespace(message=test.failure)
    return text
