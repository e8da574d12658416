"""What each recipe needs of the memory, predicted and measured, and whether that fits in the budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.measure.memory_facts import BudgetFacts, MemoryFacts, MemoryPrediction
from pytest_qeval.summary.costs import Efficiency


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """One recipe's memory; None where something is not known."""

    recipe: str
    budget_bytes: int | None
    predicted: MemoryPrediction | None
    """For the batch of `measured`, or else for the widest one that the run would decode."""
    measured: MemoryFacts | None
    """In a process of its own, which the suite `memory` starts."""
    peak_bytes: int | None
    """The measured peak: of that process, or else of the one that generated the completions."""
    peak_origin: Literal["fresh process", "process of the run", ""]

    @property
    def over_bytes(self) -> int | None:
        """By how much the peak, measured or else predicted, exceeds the budget; negative where there is room."""
        peak = self.peak_bytes or (self.predicted.peak_bytes if self.predicted else None)
        return None if self.budget_bytes is None or peak is None else peak - self.budget_bytes

    @property
    def fits(self) -> bool | None:
        """Whether the peak keeps the budget; None without one."""
        return None if self.over_bytes is None else self.over_bytes <= 0


def summarize_memory(
    recipes: Iterable[str],
    budgets: Mapping[str, BudgetFacts],
    measured: Mapping[str, MemoryFacts],
    costs: Mapping[str, Efficiency],
) -> Mapping[str, MemoryUse]:
    """Join what is known of each recipe that was predicted or measured.

    The peak of a simulated recipe's run is not the recipe's; the budget is about the process, and counts it.
    """
    found = {}
    for name in dict.fromkeys(recipes):
        budget, facts, cost = budgets.get(name), measured.get(name), costs.get(name)
        if budget is None and facts is None:
            continue
        own = cost.peak_memory_bytes if cost else None
        found[name] = MemoryUse(
            recipe=name,
            budget_bytes=budget.budget_bytes if budget else None,
            predicted=(facts.predicted if facts else None) or (budget.predicted if budget else None),
            measured=facts,
            peak_bytes=facts.peak_bytes if facts else own,
            peak_origin="fresh process" if facts else "process of the run" if own else "",
        )
    return found
