"""Robustness: perturbed problems, one test per case and recipe."""

import pytest

from pytest_qeval.fixtures import QEval
from pytest_qeval.schema import Case


@pytest.mark.qeval_robustness
def test_robustness(qeval: QEval, case: Case) -> None:
    """The model completes the function, however the prompt is perturbed."""
    qeval(case)
