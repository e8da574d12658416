"""CodeSearchNet's Python functions: one test per function and recipe; answers are scored by BLEU and chrF."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("codesearchnet")
def test_codesearchnet(qeval: QEval, case: Case) -> None:
    """The model says in a sentence what a function does."""
    qeval(case)
