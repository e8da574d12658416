"""HumanEval+: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("humaneval-plus")
def test_humaneval_plus(qeval: QEval, case: Case) -> None:
    """The model completes the function, which agrees with the reference on every input."""
    qeval(case)
