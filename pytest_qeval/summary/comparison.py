"""Recipes against their baseline: paired problem by problem, flips by name, corrected for how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_qeval.schema import Case, Record
from pytest_qeval.stats.paired import (
    PairedCounts,
    adjusted,
    detectable_drop,
    difference,
    evidence_of,
    mcnemar_p,
    odds_ratio,
    paired_mean,
    relative_drop,
    relative_drop_of_means,
)
from pytest_qeval.stats.passk import KS, pass_at_k
from pytest_qeval.summary.results import Comparison, ControlExcess

__all__ = ["MARGIN", "compare"]

MARGIN = 0.02
"""The loss of pass@1 that a comparison's evidence is about where no gate names one: 2 points."""

_Found = Mapping[tuple[str, Case], Record]
_Pair = tuple[Record, Record]
"""Baseline's and own."""


def compare(
    groups: Mapping[tuple[str, str], Sequence[Case]],
    found: _Found,
    *,
    baseline: str | None,
    control: str | None,
    margins: Callable[[str, str], float],
    others: Sequence[float] = (),
) -> tuple[Comparison, ...]:
    """Compare every recipe with the baseline on every benchmark that both were asked.

    Args:
        groups: Planned cases by benchmark and recipe.
        found: Records by recipe and case.
        baseline: What to compare with, if anything.
        control: The baseline's second run, if there is one.
        margins: The loss that evidence is about, by recipe and benchmark.
        others: P-values that are corrected together with these.
    """
    if baseline is None:
        return ()
    compared = _adjust(
        [
            _comparison(
                benchmark, recipe, baseline, list(_pairs(recipe, baseline, cases, found)), margins(recipe, benchmark)
            )
            for (benchmark, recipe), cases in groups.items()
            if recipe != baseline and (benchmark, baseline) in groups
        ],
        control,
        others,
    )
    return tuple(
        one
        if control in {None, one.recipe} or (one.benchmark, control) not in groups
        else _excess(one, groups[one.benchmark, one.recipe], found, str(control))
        for one in compared
    )


def _comparison(benchmark: str, recipe: str, baseline: str, pairs: Sequence[_Pair], margin: float) -> Comparison:
    counts = _counts(pairs)
    greedy = all(len(base.samples) == len(own.samples) == 1 for base, own in pairs)
    delta = paired_mean(*_rates(pairs, 1))
    fewest = min((len(one.samples) for pair in pairs for one in pair), default=1)
    further = [k for k in KS[1:] if k <= fewest]
    p = mcnemar_p(counts)
    flips = counts.regressed + counts.fixed
    return Comparison(
        benchmark=benchmark,
        recipe=recipe,
        baseline=baseline,
        delta=delta,
        relative_drop=relative_drop(counts) if greedy else relative_drop_of_means(*_rates(pairs, 1)),
        regressed=tuple(own.case.label for base, own in pairs if base.n_solved and not own.n_solved),
        fixed=tuple(own.case.label for base, own in pairs if own.n_solved and not base.n_solved),
        mcnemar_p=p,
        mcnemar_p_adjusted=p,
        odds_ratio=odds_ratio(counts),
        evidence=evidence_of(delta, margin=margin),
        margin=margin,
        detectable_drop=detectable_drop(counts.n, discordance=max(flips, 1) / counts.n) if pairs and greedy else None,
        delta_at={k: paired_mean(*_rates(pairs, k)) for k in further},
        relative_drop_at={k: relative_drop_of_means(*_rates(pairs, k)) for k in further},
    )


def _rates(pairs: Sequence[_Pair], k: int) -> tuple[list[float], list[float]]:
    """Return each problem's pass@k, the baseline's and the candidate's."""
    return [_pass(base, k) for base, _ in pairs], [_pass(own, k) for _, own in pairs]


def _pass(record: Record, k: int) -> float:
    return pass_at_k(len(record.samples), record.n_solved, k)


def _counts(pairs: Iterable[_Pair]) -> PairedCounts:
    """Count problems; one with several samples is solved when any of them passed."""
    return _paired((bool(base.n_solved), bool(own.n_solved)) for base, own in pairs)


def _paired(outcomes: Iterable[tuple[bool, bool]]) -> PairedCounts:
    table = Counter(outcomes)
    return PairedCounts(
        both=table[True, True],
        regressed=table[True, False],
        fixed=table[False, True],
        neither=table[False, False],
    )


def _pairs(recipe: str, baseline: str, cases: Iterable[Case], found: _Found) -> Iterator[_Pair]:
    for case in cases:
        own, base = found.get((recipe, case)), found.get((baseline, case))
        if own and base:
            yield base, own


def _adjust(compared: Sequence[Comparison], control: str | None, others: Sequence[float]) -> Iterator[Comparison]:
    """Correct for how many candidates and benchmarks there are; a control is no candidate."""
    candidates = [comparison for comparison in compared if comparison.recipe != control]
    corrected = iter(adjusted([*(comparison.mcnemar_p for comparison in candidates), *others]))
    for comparison in compared:
        yield (comparison if comparison.recipe == control else replace(comparison, mcnemar_p_adjusted=next(corrected)))


def _excess(compared: Comparison, cases: Iterable[Case], found: _Found, control: str) -> Comparison:
    """Set a candidate's flips beside the control's, over the cases that all three finished."""
    flips = []
    for case in cases:
        base, again, own = (found.get((name, case)) for name in (compared.baseline, control, compared.recipe))
        if base and again and own:
            flips.append((again.outcome != base.outcome, own.outcome != base.outcome))
    counts = _paired(flips)
    return replace(
        compared,
        excess=ControlExcess(
            flips=counts.both + counts.fixed,
            control_flips=counts.both + counts.regressed,
            shared=counts.both,
            excess=difference(counts),
            p=mcnemar_p(counts),
        ),
    )
