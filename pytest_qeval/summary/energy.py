"""Energy and emissions by what was done: tokens read and written, problems, solved problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from pytest_qeval.facts import EnergyFacts, GenerationFacts
from pytest_qeval.measure.timing_facts import BlockEnergyFacts, TimingFacts, Workload
from pytest_qeval.schema import Estimate, Record
from pytest_qeval.stats.student import student_t

_J_PER_WH = 3600.0
_FEWEST_BLOCKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyRates:
    """Energy over what it was used for, idle power included; None where one of the two is not known."""

    j_per_problem: float | None = None
    """Over problems, solved or not; a perturbed problem is one of its own."""
    j_per_solved: float | None = None
    """None also where part of the energy went into completions that are scored and not executed."""
    j_per_output_token: float | None = None
    """All energy over generated tokens."""
    prefill_j_per_token: float | None = None
    """Over the tokens of prompts: the part of the energy that belongs to the engine's time of reading them."""
    decode_j_per_token: float | None = None
    """Over generated tokens: the part that belongs to the time of writing them."""
    embodied_g: float | None = None
    """Share of the machine's embodied emissions, by time; None where the user gave none."""
    sci_g_per_solved: float | None = None
    """Software carbon intensity ((E × I) + M) per R, with a solved problem as R (SCI specification, ISO/IEC
    21031:2024); None without embodied emissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEnergy:
    """Energy of one workload, repeated in blocks: undisturbed ones, unless there are too few."""

    workload: Workload
    j_per_token: Estimate
    """Mean over blocks, with the interval of Student's t; tokens read by a prefill, or written by decoding."""
    above_idle_j_per_token: float | None
    cv: float
    """Coefficient of variation: standard deviation over mean of the blocks, 0.05 for 5 %."""
    provenance: str


def block_energy(found: BlockEnergyFacts, timing: TimingFacts | None) -> BlockEnergy | None:
    """Conclude from the blocks of a workload; None below three, which have no spread to speak of."""
    if timing is None:
        return None
    pairs = list(zip(found.energies, timing.blocks, strict=False))
    quiet = [pair for pair in pairs if not pair[1].contention.reason]
    used = quiet if len(quiet) >= _FEWEST_BLOCKS else pairs
    if len(used) < _FEWEST_BLOCKS or any(not energy.energy_wh for energy, _ in used):
        return None
    tokens = [found.workload.tokens(len(block.seconds)) for _, block in used]
    values = [_J_PER_WH * (energy.energy_wh or 0.0) / n for (energy, _), n in zip(used, tokens, strict=True)]
    above = [energy.above_idle_wh for energy, _ in used]
    mean, spread, n = fmean(values), stdev(values), len(values)
    half = student_t(n - 1) * spread / sqrt(n)
    provenance = str(used[0][0].provenance)
    return BlockEnergy(
        workload=found.workload,
        j_per_token=Estimate(
            value=mean, low=mean - half, high=mean + half, n=n, method=f"mean of blocks, Student's t, {provenance}"
        ),
        above_idle_j_per_token=None
        if None in above
        else _J_PER_WH * sum(value or 0.0 for value in above) / sum(tokens),
        cv=spread / mean,
        provenance=provenance,
    )


def energy_rates(
    energy: EnergyFacts, records: Sequence[Record], generation: Sequence[GenerationFacts], *, told: Mapping[str, Any]
) -> EnergyRates:
    """Divide a recipe's energy.

    Args:
        energy: Of all its generation.
        records: Of all its cases.
        generation: What its workers generated.
        told: What the user told of the machine; see `RunHeader.energy`.
    """
    if energy.energy_wh is None:
        return EnergyRates()
    joules = energy.energy_wh * _J_PER_WH
    prefill_s, decode_s = (sum(getattr(part, name) for part in generation) for name in ("prefill_s", "decode_s"))
    tokens = sum(part.new_tokens for part in generation)
    of_prompts = joules * prefill_s / (prefill_s + decode_s) if prefill_s + decode_s else None
    scored = any(record.outcome == "scored" for record in records)
    solved = 0 if scored else sum(record.n_solved > 0 for record in records)
    embodied_g = _embodied_g(energy, told)
    known = embodied_g is not None and energy.emissions_g is not None
    return EnergyRates(
        j_per_problem=_over(joules, len(records)),
        j_per_solved=_over(joules, solved),
        j_per_output_token=_over(joules, tokens),
        prefill_j_per_token=_over(of_prompts, sum(part.prompt_tokens for part in generation)),
        decode_j_per_token=None if of_prompts is None else _over(joules - of_prompts, tokens),
        embodied_g=embodied_g,
        sci_g_per_solved=_over((energy.emissions_g or 0.0) + (embodied_g or 0.0), solved) if known else None,
    )


def _embodied_g(energy: EnergyFacts, told: Mapping[str, Any]) -> float | None:
    embodied = told.get("embodied")
    if not embodied or energy.duration_s is None:
        return None
    return float(embodied["grams"]) * energy.duration_s / float(embodied["lifetime_s"])


def _over(value: float | None, n: int) -> float | None:
    return value / n if value is not None and n else None
