"""Efficiency: what each recipe costs, measured while nothing else runs.

A run that names this suite, or has a gate on its metrics, measures the whole list of workloads, recipes side by side;
other runs measure a single stream.
"""

from pytest_qeval.fixtures import QEval


def test_efficiency(qeval: QEval, workload: str) -> None:
    """The workload can be measured."""
    qeval.measure_efficiency(workload)
