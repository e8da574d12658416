"""Sensitivity: which block suffers most when it alone is quantized; it says what to keep."""

from pytest_qeval.fixtures import QEval


def test_sensitivity(qeval: QEval) -> None:
    """Every block can be quantized alone."""
    qeval.measure_sensitivity()
