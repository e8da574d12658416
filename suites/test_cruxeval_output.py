"""CRUXEval, output prediction: one test per problem and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("cruxeval-output")
def test_cruxeval_output(qeval: QEval, case: Case) -> None:
    """The model writes the value that a call returns."""
    qeval(case)
