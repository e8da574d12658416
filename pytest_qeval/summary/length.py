"""How long completions are, and how they end: a model that writes twice as much is slower, whatever its kernels do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_qeval.schema import Case, Quantity, Record, Undefined
from pytest_qeval.stats.intervals import mean_of_problems
from pytest_qeval.stats.lengths import mean_length, ratio_of_lengths
from pytest_qeval.stats.paired import paired_mean
from pytest_qeval.summary.cases import Groups, Records, pairs_of_groups
from pytest_qeval.summary.clusters import Clusters, each_alone
from pytest_qeval.summary.loops import find_loop

_NO_TOKENS = Undefined(reason="the numbers of tokens are not known, as where completions are read from a file")
_NO_ENDS = Undefined(reason="it is not known how completions ended, as where they are read from a file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Completions that end in one bad way."""

    count: int | None
    """Completions; None where it is not known how they ended."""
    share: Quantity
    """Mean over problems of the share of a problem's samples, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """The completions of one recipe on one benchmark."""

    completions: int
    tokens: Quantity
    """Mean over problems of the generated tokens per completion."""
    truncated: Ending
    """Those that ran into the token limit."""
    loops: Ending
    """Those that end by repeating one stretch, see `loops.find_loop`."""
    looping: tuple[str, ...]
    """Labels of the cases with such a completion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthResult:
    """A recipe on one benchmark, over the nominal cases that it finished."""

    benchmark: str
    recipe: str
    lengths: Lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthComparison:
    """A candidate against the baseline on one benchmark, over the nominal cases that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    of_baseline: Lengths
    of_candidate: Lengths
    token_ratio: Quantity
    """Candidate to baseline, mean tokens per completion."""
    truncated_increase: Quantity
    """Candidate minus baseline share of truncated completions, as a fraction."""
    loops_increase: Quantity
    """Candidate minus baseline share of completions that end in a loop, as a fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthSummary:
    """Lengths of all recipes on all benchmarks."""

    results: tuple[LengthResult, ...] = ()
    comparisons: tuple[LengthComparison, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """The samples of one case; None where the engine does not tell."""

    label: str
    cluster: str
    completions: int
    tokens: float | None
    """Mean of the samples."""
    truncated: int | None
    loops: int


def summarize_lengths(
    groups: Groups, records: Records, *, baseline: str | None, limit: int, clusters: Clusters = each_alone
) -> LengthSummary:
    """Summarize every benchmark and recipe, and compare those that both have with the baseline.

    Args:
        groups: Nominal cases, whether they are executed or scored.
        records: Those with an outcome.
        baseline: The recipe to compare with.
        limit: Tokens that a completion can have at most.
        clusters: Returns the cluster of a case.
    """
    found = {
        (recipe, case): _measure(record, clusters(case))
        for (_, recipe), cases in groups.items()
        for case in cases
        if (record := records.get((recipe, case)))
    }
    return LengthSummary(
        results=tuple(
            LengthResult(benchmark=benchmark, recipe=recipe, lengths=_lengths(_known(found, recipe, cases), limit))
            for (benchmark, recipe), cases in groups.items()
        ),
        comparisons=tuple(
            _compare(benchmark, recipe, base, _shared(found, base, recipe, cases), limit)
            for benchmark, recipe, base, cases in pairs_of_groups(groups, baseline)
        ),
    )


def _measure(record: Record, cluster: str) -> _Measured:
    completions = [sample.completion for sample in record.samples]
    tokens = [one.n_tokens for one in completions if one.n_tokens is not None]
    return _Measured(
        label=record.case.label,
        cluster=cluster,
        completions=len(completions),
        tokens=fmean(tokens) if len(tokens) == len(completions) else None,
        truncated=None
        if any(one.finish_reason == "replay" for one in completions)
        else sum(one.finish_reason == "length" for one in completions),
        loops=sum(bool(find_loop(one.text)) for one in completions),
    )


def _known(found: Mapping[tuple[str, Case], _Measured], recipe: str, cases: Sequence[Case]) -> list[_Measured]:
    return [found[recipe, case] for case in cases if (recipe, case) in found]


def _shared(
    found: Mapping[tuple[str, Case], _Measured], baseline: str, recipe: str, cases: Sequence[Case]
) -> tuple[list[_Measured], list[_Measured]]:
    """Return the baseline's and the recipe's cases that both finished, in one order."""
    both = [case for case in cases if (baseline, case) in found and (recipe, case) in found]
    return _known(found, baseline, both), _known(found, recipe, both)


def _lengths(cases: Sequence[_Measured], limit: int) -> Lengths:
    tokens = _tokens(cases)
    truncated, clusters = _truncated(cases), [one.cluster for one in cases]
    return Lengths(
        completions=sum(one.completions for one in cases),
        tokens=_NO_TOKENS if tokens is None else mean_length(tokens, limit=limit, clusters=clusters),
        truncated=Ending(count=None, share=_NO_ENDS)
        if truncated is None
        else Ending(count=sum(one.truncated or 0 for one in cases), share=mean_of_problems(truncated, clusters)),
        loops=Ending(count=sum(one.loops for one in cases), share=mean_of_problems(_loops(cases), clusters)),
        looping=tuple(one.label for one in cases if one.loops),
    )


def _compare(
    benchmark: str, recipe: str, baseline: str, pair: tuple[list[_Measured], list[_Measured]], limit: int
) -> LengthComparison:
    base, own = pair
    clusters = [one.cluster for one in own]
    base_tokens, own_tokens = _tokens(base), _tokens(own)
    base_ends, own_ends = _truncated(base), _truncated(own)
    return LengthComparison(
        benchmark=benchmark,
        recipe=recipe,
        baseline=baseline,
        of_baseline=_lengths(base, limit),
        of_candidate=_lengths(own, limit),
        token_ratio=_NO_TOKENS
        if base_tokens is None or own_tokens is None
        else ratio_of_lengths(base_tokens, own_tokens, limit=limit, clusters=clusters),
        truncated_increase=_NO_ENDS
        if base_ends is None or own_ends is None
        else paired_mean(base_ends, own_ends, clusters),
        loops_increase=paired_mean(_loops(base), _loops(own), clusters),
    )


def _tokens(cases: Sequence[_Measured]) -> list[float] | None:
    """Return the tokens of each case; None where one is not known."""
    found = [one.tokens for one in cases if one.tokens is not None]
    return found if len(found) == len(cases) else None


def _truncated(cases: Sequence[_Measured]) -> list[float] | None:
    """Return the truncated share of each case; None where one is not known."""
    found = [one.truncated / one.completions for one in cases if one.truncated is not None]
    return found if len(found) == len(cases) else None


def _loops(cases: Sequence[_Measured]) -> list[float]:
    return [one.loops / one.completions for one in cases]
