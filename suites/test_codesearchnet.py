"""CodeSearchNet's Python functions: one test per function and recipe; descriptions are scored by BLEU and chrF."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval("codesearchnet")
def test_codesearchnet(qeval: QEval, case: Case) -> None:
    """The model describes a function in a sentence."""
    qeval(case)
