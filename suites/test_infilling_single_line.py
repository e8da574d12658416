"""HumanEval infilling, single line: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("infilling-single-line")
def test_infilling_single_line(qeval: QEval, case: Case) -> None:
    """The model writes the line that is missing from a function, which passes the problem's tests."""
    qeval(case)
