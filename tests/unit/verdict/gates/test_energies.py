"""A gate judges energy that is measured, and repeats that agree; `rough` accepts the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.facts import EnergyFacts
from pytest_qeval.measure.timing_facts import WORKLOADS
from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.energy import BlockEnergy, EnergyRates
from pytest_qeval.verdict.gates.energies import judged
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.quantities import single
from tests.unit.verdict.gates.test_observe import costs

STRICT, ROUGH = parse_gate("energy per solved ratio <= 1.0"), parse_gate("energy per solved ratio <= 1.0 rough")
FOUND = single(0.9, "ratio")


def metered(provenance: str = "measured", *, cv: float | None = 0.02) -> Efficiency:
    blocks = {
        name: BlockEnergy(
            workload=WORKLOADS[name],
            j_per_token=Estimate(value=0.5, low=0.4, high=0.6, n=6, method="mean"),
            above_idle_j_per_token=None,
            cv=spread,
            provenance=provenance,
        )
        for name, spread in (("decode-1", 0.001), ("decode-8", cv or 0.0))
        if cv is not None
    }
    energy = EnergyFacts(energy_wh=1.0, provenance=provenance)  # type: ignore[arg-type] # one of the three
    return replace(costs("int8", 1.0), energy=energy, rates=EnergyRates(j_per_solved=1.0), block_energies=blocks)


def test_what_is_measured_and_repeated_has_an_interval() -> None:
    """Of a ratio both variations count: t of five degrees is 2.57."""
    found = judged(STRICT, FOUND, [metered(), metered()])

    assert isinstance(found, Estimate)
    assert found.low == pytest.approx(0.9 * (1 - 2.5706 * 0.02 * 2**0.5), rel=1e-4)
    assert found.high == pytest.approx(0.9 * (1 + 2.5706 * 0.02 * 2**0.5), rel=1e-4)
    assert (found.n, found.method) == (6, "ratio, interval by 6 repeated blocks")


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (metered("estimated"), "the energy of int8 is estimated, not measured"),
        (metered("declared"), "the energy of int8 is declared, not measured"),
        (metered(cv=None), "the energy of int8 was read only once: the suite efficiency repeats readings"),
        (metered(cv=0.051), "readings of int8 differ too much: a coefficient of variation of 5.1% in decode-8"),
    ],
    ids=["estimate", "own figure", "one reading", "noise"],
)
def test_other_energy_is_refused_unless_rough_accepts_it(base: Efficiency, reason: str) -> None:
    """Of one recipe is enough; accepted, it has no interval and proves nothing."""
    refused = judged(STRICT, FOUND, [metered(), base])

    assert isinstance(refused, Undefined)
    assert refused.reason == f"{reason}; write '{ROUGH.expression}' to accept that"
    assert judged(ROUGH, FOUND, [metered(), base]) == FOUND


def test_what_is_unknown_stays_unknown() -> None:
    unknown: Quantity = Undefined(reason="no meter")
    assert judged(STRICT, unknown, [metered("estimated")]) == unknown
