"""Recipes compared with their baseline, problem by problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_qeval.schema import Case, Evidence, Quantity, Record, Undefined
from pytest_qeval.stats.clusters import cluster_sums, stand_alone
from pytest_qeval.stats.paired import (
    PairedCounts,
    evidence_of,
    mcnemar_p,
    mean_difference,
    odds_ratio,
    paired_mean,
    relative_drop,
    relative_drop_of_means,
)
from pytest_qeval.stats.passk import KS, pass_at_k
from pytest_qeval.stats.power import detectable_drop
from pytest_qeval.stats.scores import sign_flip_p
from pytest_qeval.summary.cases import Groups, Records, pair_records, pairs_of_groups
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.margins import Margins

_NO_ODDS = Undefined(reason="a problem with several samples does not simply flip")
_NO_ODDS_OF_CLUSTERS = Undefined(reason="problems that share a source do not flip independently")
_Pair = tuple[Record, Record]
"""The baseline's record and the candidate's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlExcess:
    """A candidate's flips beside those of the control, the baseline's second run."""

    flips: int
    """Problems whose outcome under the candidate differs from the baseline's."""
    control_flips: int
    """Problems whose outcome changed when the baseline was run again."""
    shared: int
    """Problems that flipped both times."""
    excess: Quantity
    """Share of problems that the candidate flips, minus the share that the control flips."""
    p: float | None
    """Exact McNemar test on the two kinds of flips, or a sign-flip test of clusters where problems share a source; None
    after an early stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against the baseline on one benchmark, over the cases that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    delta: Quantity
    """Candidate minus baseline pass@1, as a fraction."""
    relative_drop: Quantity
    """Lost share of the baseline's pass@1, as a fraction."""
    regressed: tuple[str, ...]
    fixed: tuple[str, ...]
    test: Literal["McNemar", "sign-flip"]
    """What the p-value is of: McNemar's exact test of the flips, or, for several samples of a problem and for problems
    that share a source, a sign-flip test of the differences of pass@1, summed over clusters. With one sample of
    independent problems the two are the same."""
    mcnemar_p: float | None
    """Of `test`; None after an early stop, see `early_stops`."""
    mcnemar_p_adjusted: float | None
    """Benjamini-Hochberg over all candidates and benchmarks of the run; None after an early stop."""
    odds_ratio: Quantity
    """Regressed to fixed problems; undefined for several samples, and where problems share a source."""
    evidence: Evidence
    margin: float
    """The loss of pass@1 that the evidence is about, as a fraction."""
    detectable_drop: float | None
    """The smallest loss that as many problems with as many flips can rule out; None where the odds ratio is undefined,
    and after an early stop."""
    excess: ControlExcess | None = None
    """None without a control."""
    delta_at: Mapping[int, Quantity] = field(default_factory=dict)
    """Candidate minus baseline pass@k for every further k that there are samples for."""
    relative_drop_at: Mapping[int, Quantity] = field(default_factory=dict)
    """Lost share of the baseline's pass@k for these k."""


def compare(
    groups: Groups,
    records: Records,
    *,
    baseline: str | None,
    control: str | None,
    margins: Margins,
    clusters: Clusters = each_alone,
) -> tuple[Comparison, ...]:
    """Compare every recipe with the baseline on every benchmark that both ran; p-values are not adjusted yet."""
    return tuple(
        _comparison(
            benchmark,
            recipe,
            base,
            list(pair_records(cases, records, baseline=base, recipe=recipe)),
            clusters=clusters,
            margin=margins("pass@K", recipe, benchmark),
            excess=None
            if control is None or control == recipe or (benchmark, control) not in groups
            else _excess(cases, records, names=(base, control, recipe), clusters=clusters),
        )
        for benchmark, recipe, base, cases in pairs_of_groups(groups, baseline)
    )


def _comparison(
    benchmark: str,
    recipe: str,
    baseline: str,
    pairs: Sequence[_Pair],
    *,
    clusters: Clusters,
    margin: float,
    excess: ControlExcess | None,
) -> Comparison:
    """Compare; among several samples, a problem is regressed or fixed by whether any of them passed."""
    counts = PairedCounts.of((bool(base.n_solved), bool(own.n_solved)) for base, own in pairs)
    names = [clusters(own.case) for _, own in pairs]
    greedy = all(len(base.samples) == len(own.samples) == 1 for base, own in pairs)
    simple = greedy and stand_alone(names)
    delta = paired_mean(*_rates(pairs, 1), names)
    fewest = min((len(one.samples) for pair in pairs for one in pair), default=1)
    further = [k for k in KS[1:] if k <= fewest]
    p = mcnemar_p(counts) if simple else sign_flip_p(_differences(pairs, names))
    return Comparison(
        benchmark=benchmark,
        recipe=recipe,
        baseline=baseline,
        delta=delta,
        relative_drop=relative_drop(counts) if simple else relative_drop_of_means(*_rates(pairs, 1), names),
        regressed=tuple(own.case.label for base, own in pairs if base.n_solved and not own.n_solved),
        fixed=tuple(own.case.label for base, own in pairs if own.n_solved and not base.n_solved),
        test="McNemar" if simple else "sign-flip",
        mcnemar_p=p,
        mcnemar_p_adjusted=p,
        odds_ratio=odds_ratio(counts) if simple else _NO_ODDS_OF_CLUSTERS if greedy else _NO_ODDS,
        evidence=evidence_of(delta, margin=margin),
        margin=margin,
        detectable_drop=_detectable(counts) if pairs and simple else None,
        excess=excess,
        delta_at={k: paired_mean(*_rates(pairs, k), names) for k in further},
        relative_drop_at={k: relative_drop_of_means(*_rates(pairs, k), names) for k in further},
    )


def _differences(pairs: Sequence[_Pair], clusters: Sequence[str]) -> list[float]:
    """Return candidate minus baseline pass@1, summed over each cluster."""
    return cluster_sums([own - base for base, own in zip(*_rates(pairs, 1), strict=True)], clusters)


def _detectable(counts: PairedCounts) -> float:
    """Assume at least one flip: that nothing flipped among few problems does not mean that nothing can."""
    return detectable_drop(counts.n, discordance=max(counts.flips, 1) / counts.n)


def _rates(pairs: Sequence[_Pair], k: int) -> tuple[list[float], list[float]]:
    """Return each problem's pass@k, the baseline's and the candidate's."""
    base, own = ([pass_at_k(len(pair[at].samples), pair[at].n_solved, k) for pair in pairs] for at in (0, 1))
    return base, own


def _excess(
    cases: Sequence[Case], records: Records, *, names: tuple[str, str, str], clusters: Clusters
) -> ControlExcess:
    """Set a candidate's flips beside the control's, over the cases that baseline, control and candidate finished."""
    flips, shared = [], []
    for case in cases:
        base, again, own = (records.get((name, case)) for name in names)
        if base and again and own:
            flips.append((again.outcome != base.outcome, own.outcome != base.outcome))
            shared.append(clusters(case))
    counts, moved = PairedCounts.of(flips), [own - again for again, own in flips]
    return ControlExcess(
        flips=counts.both + counts.fixed,
        control_flips=counts.both + counts.regressed,
        shared=counts.both,
        excess=mean_difference(moved, shared),
        p=mcnemar_p(counts) if stand_alone(shared) else sign_flip_p(cluster_sums(moved, shared)),
    )
