"""Sensitivity: how much each block suffers when it alone is quantized, to choose the layers to keep."""

from pytest_qeval.fixtures import QEval


def test_sensitivity(qeval: QEval) -> None:
    """Every block can be quantized alone."""
    qeval.measure_sensitivity()
