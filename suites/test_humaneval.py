"""HumanEval: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("humaneval")
def test_humaneval(qeval: QEval, case: Case) -> None:
    """The model completes the function, and its tests pass."""
    qeval(case)
