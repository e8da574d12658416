"""HumanEval infilling, random span: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("infilling-random-span")
def test_infilling_random_span(qeval: QEval, case: Case) -> None:
    """The model writes the span that is missing from a function, which passes the problem's tests."""
    qeval(case)
