"""When a gate may judge energy: what is measured, and repeats alike. `rough` accepts everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.student import student_t
from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.verdict.gates.grammar import Gate

OF_ENERGY = ("energy", "energy_per_solved")
"""The metrics."""
MOST_CV = 0.05
"""Coefficient of variation of repeated blocks at most."""


def judged(gate: Gate, found: Quantity, recipes: Sequence[Efficiency]) -> Quantity:
    """Return what a gate may judge: an energy, or a ratio of two, with the interval that repeated blocks give it.

    The whole run is one reading. Its relative error is taken for that of a single block, which is shorter, so that the
    interval is wide rather than narrow: value × (1 ± t · √Σ cv²), t with the degrees of the fewest blocks.
    """
    if isinstance(found, Undefined):
        return found
    if not gate.rough and (reason := next(filter(None, map(_refusal, recipes)), "")):
        return Undefined(reason=f"{reason}; write '{gate.expression} rough' to accept that")
    if any(_refusal(costs) for costs in recipes):
        return found
    return _with_interval(found, recipes)


def _refusal(costs: Efficiency) -> str:
    """Say why a recipe's energy is not to be judged; empty where it is."""
    energy = costs.energy
    if energy.provenance != "measured":
        return f"the energy of {costs.recipe} is {energy.provenance}, not measured"
    if not costs.block_energies:
        return f"the energy of {costs.recipe} was read only once: the suite efficiency repeats readings"
    name, worst = max(costs.block_energies.items(), key=lambda pair: pair[1].cv)
    if worst.cv > MOST_CV:
        return f"readings of {costs.recipe} differ too much: a coefficient of variation of {worst.cv:.1%} in {name}"
    return ""


def _with_interval(found: Estimate, recipes: Sequence[Efficiency]) -> Estimate:
    blocks = [one for costs in recipes for one in costs.block_energies.values()]
    worst = [max(one.cv for one in costs.block_energies.values()) for costs in recipes]
    n = min(one.j_per_token.n for one in blocks)
    reach = student_t(n - 1) * sqrt(sum(cv**2 for cv in worst))
    method = f"{found.method}, interval by {n} repeated blocks"
    return replace(found, low=max(0.0, found.value * (1 - reach)), high=found.value * (1 + reach), n=n, method=method)
