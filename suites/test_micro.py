"""micro: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("micro")
def test_micro(qeval: QEval, case: Case) -> None:
    """The model completes the function, and its tests pass."""
    qeval(case)
