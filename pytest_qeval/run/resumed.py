"""What a process takes over from the run that goes on, besides its records."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_qeval.facts import SensitivityFacts, StreamFacts
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.measure.memory_facts import MemoryFacts
from pytest_qeval.schema import Case
from pytest_qeval.verdict.resume import ResumedRun

KeptFacts = StreamFacts | MemoryFacts | SensitivityFacts | DivergenceFacts
"""Measurements of one recipe by itself. What is timed beside others is measured again, all of it together."""


def kept_facts(resumed: ResumedRun) -> Mapping[tuple[type, str], KeptFacts]:
    """Return what was measured of a recipe, by its kind and the recipe; not its speed where costs are others now."""
    found = {(type(one), one.recipe): one for one in resumed.messages if isinstance(one, KeptFacts)}
    if resumed.changed:
        return {key: facts for key, facts in found.items() if not isinstance(facts, StreamFacts)}
    return found


def known_faults(resumed: ResumedRun) -> Mapping[Case, str]:
    """Return why perturbed cases are invalid; empty for those with a record, whose own solutions passed."""
    valid = {case: "" for _, case in resumed.records if not case.is_own}
    return {**valid, **resumed.invalid}
