"""HumanEval infilling, multi line: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("infilling-multi-line")
def test_infilling_multi_line(qeval: QEval, case: Case) -> None:
    """The model writes the lines that are missing from a function, which passes the problem's tests."""
    qeval(case)
