"""Costs of a candidate beside the baseline's, each with what kind of number it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.summary.costs import Efficiency
from pytest_qeval.summary.results import Summary

CostKind = Literal["exact", "measured", "estimated", "declared", "simulated"]
"""declared: from the watts that the user named. simulated: of weights that are rounded and computed in float, so that
it is not the recipe's own cost."""
_Get = Callable[[Efficiency], float | None]
_WATCHES: dict[str, Callable[[Efficiency], str]] = {
    "ms": lambda one: one.stream_contended,
    "tokens/s": lambda one: one.contended,
}
"""What disturbed the machine, by the unit of what was timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRatio:
    """One cost of a candidate and of the baseline."""

    name: str
    unit: str
    baseline: float | None
    candidate: float | None
    kind: CostKind
    higher_is_better: bool = False
    contended: bool = False
    """Whether the machine was disturbed while one of the two was timed."""
    packed: bool = False
    """Whether it is of weights that a simulated recipe only would have."""

    @property
    def provenance(self) -> str:
        """How the number was found, for a sentence."""
        if self.packed:
            return "counted, not packed here"
        return "measured once" if self.unit == "tokens/s" and self.kind == "measured" else self.kind

    @property
    def ratio(self) -> float | None:
        """Candidate to baseline; None where one of the two is not known."""
        return self.candidate / self.baseline if self.baseline and self.candidate is not None else None

    @property
    def speed_up(self) -> float | None:
        """How many times better the candidate is: above 1 it is cheaper or faster."""
        if not self.ratio:
            return None
        return self.ratio if self.higher_is_better else 1 / self.ratio


def cost_ratios(summary: Summary, recipe: str) -> tuple[CostRatio, ...]:
    """Return the costs of a recipe that are known, in the order of the terminal's table."""
    return tuple(_ratios(summary.efficiency.get(recipe), summary.efficiency.get(summary.baseline or "")))


def stream_ms(costs: Efficiency) -> float | None:
    """Return the median time per token of a single stream, in milliseconds."""
    return 1000 * costs.decode_s.p50 if costs.decode_s else None


def _ratios(own: Efficiency | None, base: Efficiency | None) -> Iterator[CostRatio]:
    if own is None:
        return
    simulated = own.simulated or (base is not None and base.simulated)
    energy_kind: CostKind = own.energy.provenance or "estimated"
    rows: tuple[tuple[str, str, _Get, CostKind, bool], ...] = (
        ("weights in memory", "B", lambda one: one.model_bytes, "exact", False),
        ("peak memory of the process", "B", lambda one: one.peak_memory_bytes, "measured", False),
        ("time per token, single stream", "ms", stream_ms, "measured", False),
        ("throughput of the batch", "tokens/s", lambda one: one.throughput, "measured", True),
        ("energy of generating", "Wh", lambda one: one.energy.energy_wh, energy_kind, False),
    )
    for name, unit, get, kind, higher in rows:
        if (candidate := get(own)) is not None:
            packed = own.packed and kind == "exact"
            yield CostRatio(
                name="weights, if packed" if packed else name,
                unit=unit,
                baseline=get(base) if base else None,
                candidate=candidate,
                kind="simulated" if simulated and kind != "exact" else kind,
                higher_is_better=higher,
                contended=any(unit in _WATCHES and _WATCHES[unit](one) for one in (own, base) if one),
                packed=packed,
            )


def amount(value: float | None, unit: str) -> str:
    """Render a cost with its unit: `2.23 MB`, `4.8 ms`."""
    if value is None:
        return "–"
    if unit != "B":
        return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"  # noqa: PLR2004 - three digits
    for prefix in ("", "k", "M"):
        if value < 1000:  # noqa: PLR2004 - decimal units, as on a disk's label
            return f"{value:.3g} {prefix}B"
        value /= 1000
    return f"{value:.2f} GB"
