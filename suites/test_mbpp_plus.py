"""MBPP+: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("mbpp-plus")
def test_mbpp_plus(qeval: QEval, case: Case) -> None:
    """The model writes a program, which agrees with the reference on every input."""
    qeval(case)
