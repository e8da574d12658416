"""Efficiency: what one stream of each recipe costs, measured alone."""

from pytest_qeval.fixtures import QEval


def test_efficiency(qeval: QEval) -> None:
    """Prefill and decoding of a single stream can be measured."""
    qeval.measure_stream()
