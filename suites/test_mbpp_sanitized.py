"""The hand-verified subset of MBPP: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("mbpp-sanitized")
def test_mbpp_sanitized(qeval: QEval, case: Case) -> None:
    """The model writes a program, and its tests pass."""
    qeval(case)
