"""CRUXEval, input prediction: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("cruxeval-input")
def test_cruxeval_input(qeval: QEval, case: Case) -> None:
    """The model writes arguments for which a function returns the given value."""
    qeval(case)
