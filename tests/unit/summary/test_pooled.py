"""All executed benchmarks together: every problem once, clusters as one draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_qeval.schema import Case, Estimate, Quantity, Undefined
from pytest_qeval.stats.paired import PairedCounts, difference, mcnemar_p
from pytest_qeval.summary.clusters import clusters_of, each_alone
from pytest_qeval.summary.pooled import PooledComparison, counted_once
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import several_benchmarks


def with_facts(found: SummaryInput, facts: Mapping[str, Mapping[str, object]]) -> SummaryInput:
    return replace(found, benchmarks={name: {**row, **facts.get(name, {})} for name, row in found.benchmarks.items()})


def pooled(found: SummaryInput) -> PooledComparison:
    (one,) = summarize(found).pooled
    return one


def estimate(quantity: Quantity) -> Estimate:
    assert isinstance(quantity, Estimate)
    return quantity


def test_a_pool_is_one_large_benchmark() -> None:
    """Without clusters its interval is Tango's of all flips, and its p-value McNemar's."""
    found = pooled(several_benchmarks(a=("+++++---", "++--+--+"), b=("++++----", "+++-----"), c=("++", "++")))
    counts = PairedCounts(both=8, regressed=3, fixed=1, neither=6)

    assert found.delta == difference(counts)
    assert found.p == pytest.approx(mcnemar_p(counts))
    assert (found.regressed, found.fixed) == (3, 1)
    assert {name: rate.value for name, rate in found.pass_at_1.items() if isinstance(rate, Estimate)} == {
        "auto": pytest.approx(11 / 18), "int8": pytest.approx(9 / 18),
    }  # fmt: skip


def test_every_benchmark_has_its_part() -> None:
    """Weights are shares of problems, and give the pooled change."""
    found = pooled(several_benchmarks(a=("++++", "+++-"), b=("+" * 12, "+" * 12)))

    assert [(one.benchmark, one.problems, one.weight) for one in found.strata] == [("a", 4, 0.25), ("b", 12, 0.75)]
    assert sum(one.weight * estimate(one.delta).value for one in found.strata) == pytest.approx(
        estimate(found.delta).value
    )


def test_a_problem_of_two_benchmarks_counts_in_the_stricter_one() -> None:
    """By its cluster, for the two may have other ids; problems that only the looser one has stay there."""
    found = several_benchmarks(base=("+++++", "+++++"), plus=("+++", "++-"))
    shared = {f"plus/{number}": f"base/{number}" for number in range(3)}
    one = pooled(with_facts(found, {"plus": {"covers": ("base",), "clusters": shared}}))

    assert [(part.benchmark, part.problems, part.counted_elsewhere) for part in one.strata] == [
        ("base", 2, 3),
        ("plus", 3, 0),
    ]
    assert (estimate(one.delta).n, one.regressed) == (5, 1)


def test_a_case_that_the_stricter_benchmark_lost_counts_in_the_other() -> None:
    """What has no record cannot stand for anything."""
    found = several_benchmarks(base=("+++", "+++"), plus=("+++", "++ "))
    shared = {f"plus/{number}": f"base/{number}" for number in range(3)}
    one = pooled(with_facts(found, {"plus": {"covers": ("base",), "clusters": shared}}))

    assert [part.problems for part in one.strata] == [1, 2]


def test_two_questions_about_one_program_are_no_two_draws() -> None:
    """Both directions of a program lost prove less than two programs lost."""
    found = several_benchmarks(forth=("+" * 30, "---" + "+" * 27), back=("+" * 30, "---" + "+" * 27))
    programs = {f"{name}/{number}": f"program {number}" for name in ("forth", "back") for number in range(30)}
    clustered = pooled(with_facts(found, {"forth": {"clusters": programs}, "back": {"clusters": programs}}))
    alone = pooled(found)

    assert estimate(clustered.delta).value == estimate(alone.delta).value
    assert (estimate(clustered.delta).low or 0) < (estimate(alone.delta).low or 0)
    assert clustered.p > alone.p


def test_stopped_benchmarks_are_not_pooled() -> None:
    """How many of their problems were run depends on how they went."""
    found = several_benchmarks(a=("++", "++"), b=("++", "++"))

    assert summarize(replace(found, decided={("int8", "a"): "proven"})).pooled == ()


def test_without_a_common_case_the_pool_says_so() -> None:
    one = pooled(several_benchmarks(a=("+ ", " +"), b=(" ", "+")))

    assert isinstance(one.delta, Undefined)
    assert one.evidence == "unproven"


def test_cases_that_count_are_known_before_the_run() -> None:
    """The same rule as afterwards."""
    cases = [
        Case(benchmark=name, task_id=f"{name}/{n}") for name, count in (("base", 3), ("plus", 2)) for n in range(count)
    ]
    clusters = clusters_of({"plus": {"clusters": {"plus/0": "base/0", "plus/1": "base/1"}}})

    assert {one.label for one in counted_once(cases, clusters=clusters, covers={"plus": ("base",)})} == {
        "base/2", "plus/0", "plus/1",
    }  # fmt: skip
    assert counted_once(cases, clusters=each_alone, covers={}) == set(cases)


def test_the_same_ids_in_two_files_are_no_cluster() -> None:
    """Problems of a user's own files share nothing unless they say so."""
    letters = ("+" * 20, "---" + "+" * 17)
    found = several_benchmarks(a=letters, b=letters)
    same = {case: replace(case, task_id=case.task_id.partition("/")[2]) for _, case in found.planned}
    renamed = replace(
        found,
        planned=[(recipe, same[case]) for recipe, case in found.planned],
        records=[replace(record, case=same[record.case]) for record in found.records],
    )

    assert pooled(renamed).delta == pooled(found).delta
    assert pooled(renamed).p == pooled(found).p


def test_ids_that_others_refer_to_are_clusters() -> None:
    """Such as HumanEval's, which parts of the same functions name."""
    clusters = clusters_of({"base": {}, "parts": {"clusters": {"parts/0/L1": "base/0"}}, "other": {}})

    assert clusters(Case(benchmark="base", task_id="base/0")) == clusters(Case(benchmark="parts", task_id="parts/0/L1"))
    assert clusters(Case(benchmark="base", task_id="base/1")) != clusters(Case(benchmark="other", task_id="base/1"))
