"""Divergence: how far a candidate's token probabilities are from the baseline's on the same solutions."""

import pytest

from pytest_qeval.fixtures import QEval


@pytest.mark.qeval_early
def test_divergence(qeval: QEval) -> None:
    """Every token of a benchmark's solutions can be compared."""
    qeval.measure_divergence()
