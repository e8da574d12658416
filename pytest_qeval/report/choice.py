"""Which recipe to take: what each solves and costs, which are dominated by another one, and a pick with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_qeval.report.changes import changes_of
from pytest_qeval.report.cost_ratios import amount, stream_ms
from pytest_qeval.report.text import percent
from pytest_qeval.schema import Estimate, Quantity
from pytest_qeval.summary.results import GateResult, Summary

RULE = (
    "Of the candidates that break no gate, are not proven worse and run at their own precision here, the pick is "
    "the one with the smallest weights; of equally small ones, the one that solves more."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One recipe: what it solves and what it costs, as observed; None where that is not known."""

    recipe: str
    is_candidate: bool
    quality: Estimate
    """pass@1, over all benchmarks together where there are several."""
    model_bytes: int | None
    ms_per_token: float | None
    """Of a single stream; None where the recipe is only simulated."""
    energy_wh: float | None
    """Of generating; None where the recipe is only simulated."""
    simulated: bool
    refused: str = ""
    """Why it is out of the question: a broken gate, or a proven loss; empty where it is not."""
    dominated_by: tuple[str, ...] = ()
    """Recipes that solve as much and cost as little in all that is known of this one, and are better in one of it."""

    @property
    def costs(self) -> tuple[float | None, ...]:
        """What is better the smaller it is."""
        return self.model_bytes, self.ms_per_token, self.energy_wh


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """The recipe to take, or none."""

    recipe: str | None
    reason: str
    is_proven: bool = False
    """Whether a loss of more than the margin is ruled out."""


def options_of(summary: Summary, gates: Sequence[GateResult]) -> tuple[Option, ...]:
    """Return the baseline and the candidates that have results on benchmarks that are executed."""
    names = [name for name in (summary.baseline, *summary.candidates) if name in summary.recipes]
    found = [option for name in dict.fromkeys(names) if name and (option := _option(summary, gates, name))]
    return tuple(
        replace(one, dominated_by=tuple(other.recipe for other in found if _dominates(other, one))) for one in found
    )


def _option(summary: Summary, gates: Sequence[GateResult], recipe: str) -> Option | None:
    quality, costs = _quality(summary, recipe), summary.efficiency[recipe]
    if not isinstance(quality, Estimate):
        return None
    return Option(
        recipe=recipe,
        is_candidate=recipe in summary.candidates,
        quality=quality,
        model_bytes=costs.model_bytes,
        ms_per_token=None if costs.simulated else stream_ms(costs),
        energy_wh=None if costs.simulated else costs.energy.energy_wh,
        simulated=costs.simulated,
        refused=_refusal(summary, gates, recipe),
    )


def _refusal(summary: Summary, gates: Sequence[GateResult], recipe: str) -> str:
    if any(gate.outcome == "fail" for gate in gates if gate.recipe == recipe):
        return "breaks a gate"
    return "proven worse" if any(one.evidence == "worse" for one in changes_of(summary, recipe)) else ""


def _quality(summary: Summary, recipe: str) -> Quantity | None:
    """Return pass@1 of the pool, or of the only benchmark."""
    pools = [one for one in summary.pooled if len(one.strata) > 1]
    for pool in pools:
        if recipe in pool.pass_at_1:
            return pool.pass_at_1[recipe]
    own = [one for one in summary.results if one.recipe == recipe]
    return own[0].pass_at.get(1) if len(own) == 1 and not pools else None


def _dominates(one: Option, other: Option) -> bool:
    """Whether `one` is nowhere worse than `other`, as observed, and somewhere better."""
    if one.quality.value < other.quality.value:
        return False
    pairs = [(mine, theirs) for mine, theirs in zip(one.costs, other.costs, strict=True) if theirs is not None]
    if any(mine is None or mine > theirs for mine, theirs in pairs):
        return False
    return one.quality.value > other.quality.value or any(mine != theirs for mine, theirs in pairs)


def pick(summary: Summary, gates: Sequence[GateResult], options: Sequence[Option]) -> Pick | None:
    """Choose by `RULE`; None where there is no candidate to choose."""
    candidates = [one for one in options if one.is_candidate]
    if not candidates or summary.baseline is None:
        return None
    if doubt := _doubt(summary):
        return Pick(recipe=None, reason=doubt)
    fit = [one for one in candidates if not one.refused]
    native = [one for one in fit if not one.simulated and one.model_bytes is not None]
    if not native:
        return Pick(recipe=None, reason=_why_none(candidates, fit))
    best = min(native, key=lambda one: (one.model_bytes or 0, -one.quality.value))
    changes = changes_of(summary, best.recipe)
    return Pick(
        recipe=best.recipe,
        reason=_why(summary, best, options, gated=bool(gates)),
        is_proven=bool(changes) and changes[0].evidence == "not worse",
    )


def _doubt(summary: Summary) -> str:
    """Return why a run recommends nothing, whatever its numbers are; empty where it may."""
    if summary.interrupted:
        return "The run was interrupted."
    if summary.missing:
        return "Cases of the run are missing."
    inconclusive = any(one.level == "inconclusive" for one in summary.comparability)
    return "The comparison is inconclusive." if inconclusive else ""


def _why_none(candidates: Sequence[Option], fit: Sequence[Option]) -> str:
    if fit:
        names = ", ".join(one.recipe for one in fit)
        return f"{names}: nothing speaks against the scores, but speed and energy are only simulated here."
    causes = "; ".join(
        f"{one.recipe} {'is ' if one.refused == 'proven worse' else ''}{one.refused}" for one in candidates
    )
    return f"Keep the baseline: {causes}."


def _why(summary: Summary, best: Option, options: Sequence[Option], *, gated: bool) -> str:
    changes = changes_of(summary, best.recipe)
    gates = "It breaks no gate" if gated else "No gate was set"
    proof = {
        "not worse": "and is proven not to lose more than the margin",
        "unproven": "and is not proven worse, though a loss of more than the margin is not ruled out either",
    }
    sure = proof.get(changes[0].evidence if changes else "unproven", "")
    base = next((one for one in options if one.recipe == summary.baseline), None)
    size = f"its weights take {amount(best.model_bytes, 'B')}"
    if base and base.model_bytes and best.model_bytes:
        size += f", {best.model_bytes / base.model_bytes:.0%} of the baseline's"
    solves = f"it solves {percent(best.quality.value)}"
    solves += f" against {percent(base.quality.value)}" if base else ""
    slower = bool(base and base.ms_per_token and best.ms_per_token and best.ms_per_token > 1.03 * base.ms_per_token)
    speed = (
        f"; but one request is slower, {best.ms_per_token:.3g} ms a token against {base.ms_per_token:.3g}"
        if slower and base
        else ""
    )
    return f"{gates} {sure}; {size}; {solves}{speed}."
