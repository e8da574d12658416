"""A broken gate, for tests of what is made of it."""

from __future__ import annotations

from pytest_qeval.schema import Estimate
from pytest_qeval.summary.results import GateResult

BROKEN = GateResult(
    expression="pass@1 drop <= 2pt",
    recipe="int8",
    benchmark="micro",
    observed=Estimate(value=0.25, low=-0.125, high=0.5, n=4, method="tango"),
    threshold=0.02,
    outcome="fail",
    evidence="unproven",
    reason="observed 25.0 pt",
)
