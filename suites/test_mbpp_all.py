"""All tasks of MBPP: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("mbpp-all")
def test_mbpp_all(qeval: QEval, case: Case) -> None:
    """The model writes the function, and its tests pass."""
    qeval(case)
