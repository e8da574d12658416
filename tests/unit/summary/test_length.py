"""Lengths and endings of completions, compared with the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.schema import Completion, Estimate, Execution, FinishReason, Record, Sample, Undefined
from pytest_qeval.stats.lengths import mean_length, ratio_of_lengths
from pytest_qeval.stats.paired import paired_mean
from pytest_qeval.summary.length import LengthComparison, LengthResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import HEADER, case, session, session_of_both_kinds

LIMIT = 512
LOOP = "x" * 300


def completed(recipe: str, number: int, *samples: tuple[int | None, FinishReason, str]) -> Record:
    """Make a record from tokens, reason of the end and text of each sample."""
    execution = Execution(status="failed", duration_s=0.01)
    return Record(
        recipe=recipe,
        case=case(number),
        samples=tuple(
            Sample(
                completion=Completion(text=text, n_tokens=tokens, finish_reason=reason),
                program_sha256="0" * 64,
                execution=execution,
            )
            for tokens, reason, text in samples
        ),
    )


def length_session(base: Sequence[Record], own: Sequence[Record]) -> SummaryInput:
    outcomes = "+" * max(len(base), len(own))
    return replace(session(outcomes, outcomes), records=[*base, *own])


BASE = [completed("auto", number, (100 + number, "stop", "pass")) for number in range(6)]
OWN = [
    *(completed("int8", number, (100 + number, "stop", "pass")) for number in range(4)),
    completed("int8", 4, (LIMIT, "length", LOOP)),
    completed("int8", 5, (LIMIT, "length", "once")),
]


def compared(found: SummaryInput) -> LengthComparison:
    (comparison,) = summarize(found).lengths.comparisons
    return comparison


def result(found: SummaryInput, recipe: str) -> LengthResult:
    return next(one for one in summarize(found).lengths.results if one.recipe == recipe)


def test_lengths_are_compared_over_problems() -> None:
    """The limit is that of the run."""
    found = compared(length_session(BASE, OWN))
    base, own = [float(100 + number) for number in range(6)], [100.0, 101.0, 102.0, 103.0, LIMIT, LIMIT]

    assert (found.benchmark, found.recipe, found.baseline) == ("micro", "int8", "auto")
    assert found.of_baseline.tokens == mean_length(base, limit=LIMIT)
    assert found.of_candidate.tokens == mean_length(own, limit=LIMIT)
    assert found.token_ratio == ratio_of_lengths(base, own, limit=LIMIT)


def test_endings_are_counted_and_compared() -> None:
    """A completion that loops until the limit is both truncated and a loop."""
    found = compared(length_session(BASE, OWN))

    assert (found.of_baseline.truncated.count, found.of_candidate.truncated.count) == (0, 2)
    assert (found.of_baseline.loops.count, found.of_candidate.loops.count) == (0, 1)
    assert found.of_candidate.looping == ("micro/4",)
    assert found.truncated_increase == paired_mean([0.0] * 6, [0.0] * 4 + [1.0] * 2)
    assert found.loops_increase == paired_mean([0.0] * 6, [0.0] * 4 + [1.0, 0.0])


def test_only_cases_that_both_finished_are_compared() -> None:
    """A recipe's own result has all of its cases."""
    found = length_session(BASE[:5], OWN)
    comparison = compared(found)

    assert (comparison.of_candidate.completions, comparison.of_candidate.truncated.count) == (5, 1)
    assert (result(found, "int8").lengths.completions, result(found, "auto").lengths.completions) == (6, 5)


def test_a_problem_counts_once_whatever_its_samples() -> None:
    """Completions are counted one by one, shares and means by problem."""
    base = [completed("auto", 0, (10, "stop", "a"), (20, "length", "b"))]
    own = [completed("int8", 0, (30, "length", LOOP), (50, "length", "c"))]
    found = compared(length_session(base, own))

    assert (found.of_candidate.completions, found.of_candidate.truncated.count) == (2, 2)
    assert isinstance(found.token_ratio, Estimate)
    assert found.token_ratio.value == pytest.approx(40 / 15)
    assert found.token_ratio.n == 1
    assert isinstance(found.of_baseline.truncated.share, Estimate)
    assert found.of_baseline.truncated.share.value == 0.5
    assert isinstance(found.loops_increase, Estimate)
    assert found.loops_increase.value == 0.5


def test_completions_of_a_file_have_no_tokens() -> None:
    """Their texts are known, and so are loops."""
    own = [completed("int8", number, (None, "replay", LOOP)) for number in range(6)]
    found = compared(length_session(BASE, own))

    assert isinstance(found.token_ratio, Undefined)
    assert isinstance(found.of_candidate.tokens, Undefined)
    assert "not known" in found.token_ratio.reason
    assert isinstance(found.truncated_increase, Undefined)
    assert found.of_candidate.truncated.count is None
    assert isinstance(found.of_baseline.tokens, Estimate)
    assert found.of_candidate.loops.count == 6


def test_nothing_shared_is_undefined() -> None:
    found = compared(length_session(BASE[:3], OWN[3:]))

    assert found.token_ratio == Undefined(reason="no problem was evaluated under both recipes")
    assert isinstance(found.loops_increase, Undefined)


def test_executed_and_scored_benchmarks_have_lengths() -> None:
    found = summarize(session_of_both_kinds()).lengths

    assert [(one.benchmark, one.recipe) for one in found.comparisons] == [("micro", "int8"), ("text", "int8")]
    assert len(found.results) == 4


def test_without_a_baseline_there_are_results_alone() -> None:
    found = summarize(replace(length_session(BASE, OWN), baseline=None)).lengths

    assert (len(found.results), found.comparisons) == (2, ())


def test_a_selftest_has_no_lengths() -> None:
    """No model wrote its completions."""
    header = replace(HEADER, model={"id": NAME, "source": NAME})

    assert summarize(replace(length_session(BASE, OWN), run=header)).lengths.results == ()
