"""The drop that a benchmark's problems can rule out, and how many problems a margin takes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pytest_qeval.schema import Case
from pytest_qeval.stats.power import detectable_drop, problems_needed
from pytest_qeval.summary.power import Prospect, estimate_pool, estimate_prospects


def cases(benchmark: str, count: int) -> Iterator[Case]:
    return (Case(benchmark=benchmark, task_id=f"{benchmark}/{number}") for number in range(count))


def prospect(count: int, margin: float) -> Prospect:
    (found,) = estimate_prospects(cases("micro", count), margin=lambda _: margin)
    return found


def test_too_few_problems_come_with_the_number_needed() -> None:
    assert prospect(164, 0.02) == Prospect(
        benchmark="micro",
        problems=164,
        sources=164,
        detectable=detectable_drop(164),
        margin=0.02,
        needed=problems_needed(0.02),
    )


def test_problems_that_share_a_source_prove_less() -> None:
    """Pairs whose flips are half correlated: 164 problems are like 164 / 1.5, and a margin takes 1.5 times as many."""
    (found,) = estimate_prospects(cases("micro", 164), margin=lambda _: 0.02, clusters=_pair)

    assert found.sources == 82
    assert found.detectable == detectable_drop(109)
    assert found.needed == round(1.5 * problems_needed(0.02))


def _pair(case: Case) -> str:
    return str(int(case.task_id.partition("/")[2]) // 2)


@pytest.mark.parametrize("margin", [detectable_drop(164), 0.5, 0.0, -0.1])
def test_without_need_there_is_no_number(margin: float) -> None:
    """Enough problems need no more, and no number of problems proves a loss of exactly 0."""
    assert prospect(164, margin).needed is None


def test_every_benchmark_has_its_own_margin() -> None:
    """A case of several recipes is one problem."""
    plan = [*cases("micro", 10), *cases("humaneval", 20), *cases("micro", 10)]

    found = estimate_prospects(plan, margin={"micro": 0.03, "humaneval": 0.04}.__getitem__)

    assert {one.benchmark: (one.problems, one.margin) for one in found} == {
        "micro": (10, 0.03), "humaneval": (20, 0.04),
    }  # fmt: skip


def test_benchmarks_stay_in_the_order_of_the_plan() -> None:
    """Whatever their names are, in every process."""
    names = ["zeta", "alpha", "micro", "beta", "eta"]
    plan = [one for name in names for one in cases(name, 2)]

    assert [one.benchmark for one in estimate_prospects([*plan, *plan], margin=lambda _: 0.02)] == names


def test_a_pool_of_several_benchmarks_is_one_more_prospect() -> None:
    """As of one benchmark with all problems; of a single one there is no pool."""
    (pooled,) = estimate_pool([*cases("a", 100), *cases("b", 64)], margin=0.02)

    assert pooled == replace(prospect(164, 0.02), benchmark="all")
    assert list(estimate_pool([*cases("a", 100)], margin=0.02)) == []


def test_without_cases_there_is_no_prospect() -> None:
    """Such as in a run for divergence alone."""
    assert list(estimate_prospects([], margin=lambda _: 0.02)) == []
