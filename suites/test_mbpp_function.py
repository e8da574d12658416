"""MBPP as functions: one test per problem and recipe; part of the self-test."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("mbpp-function")
def test_mbpp_function(qeval: QEval, case: Case) -> None:
    """The model completes the function, and its tests pass."""
    qeval(case)
