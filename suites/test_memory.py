"""Memory: what each recipe needs to load, quantize and decode, measured in a process of its own."""

from pytest_qeval.fixtures import QEval


def test_memory(qeval: QEval) -> None:
    """The peak of every phase can be measured."""
    qeval.measure_memory()
