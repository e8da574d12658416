"""Robustness of twelve problems under three seeds, missing cases, halves, and a candidate beside a baseline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.schema import HALF_LABEL, Estimate, Quantity, Record, Undefined
from pytest_qeval.summary.results import Summary
from pytest_qeval.summary.robust_comparison import RobustChange
from pytest_qeval.summary.robustness import ALL, RobustResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import INT8, record
from tests.unit.summary.perturbed import BASE, NOMINAL, OWN, TABS, TYPOS, WORDS, Outcomes, perturbed, robust_session

EXECUTIONS = {sign: record("int8", 0, sign).samples[0].execution for sign in "+-"}


def result_of(summary: Summary, recipe: str = "int8", scope: str = ALL) -> RobustResult:
    (found,) = (one for one in summary.robust_results if (one.recipe, one.scope) == (recipe, scope))
    return found


def change_of(summary: Summary, scope: str = ALL, recipe: str = "int8") -> RobustChange:
    (found,) = (one for one in summary.robust_changes if (one.recipe, one.scope) == (recipe, scope))
    return found


def value(quantity: Quantity) -> float:
    assert isinstance(quantity, Estimate)
    return quantity.value


def numbers(material: SummaryInput, recipe: str = "int8", scope: str = ALL) -> tuple[float, ...]:
    """Return pass@1, robust pass, robust drop, relative, lost and gained, each of twelve."""
    means = result_of(summarize(material), recipe, scope).means[1]
    names = ("nominal", "robust", "drop", "relative", "lost", "gained")
    return tuple(value(getattr(means, name)) for name in names)


@pytest.mark.parametrize("scope", ["typos", "docstring", ALL])
def test_the_worst_of_all_seeds_counts(scope: str) -> None:
    """Of ten solved the baseline keeps nine, the candidate seven; a gain in one seed keeps nothing."""
    material = robust_session(BASE, OWN)

    assert numbers(material, "auto", scope) == pytest.approx((10 / 12, 9 / 12, 1 / 10, 2 / 12, 1 / 12, 1 / 12))
    assert numbers(material, "int8", scope) == pytest.approx((10 / 12, 7 / 12, 3 / 10, 4 / 12, 3 / 12, 1 / 12))
    assert result_of(summarize(material), scope=scope).problems == 12


def test_a_candidate_is_set_beside_the_baseline() -> None:
    """Its drop is twenty points higher; problems that both solve nominally and one loses are named."""
    change = change_of(summarize(robust_session(BASE, OWN)))

    assert value(change.drop_increase) == pytest.approx(0.3 - 0.1)
    assert value(change.robust_pass_delta) == pytest.approx(7 / 12 - 9 / 12)
    assert (change.broken, change.mended) == (("micro/0", "micro/8"), ())
    assert change.mcnemar_p == pytest.approx(0.5)  # two of two flips, two-sided
    assert (change.baseline, change.margin, change.evidence) == ("auto", 0.03, "unproven")


@pytest.mark.parametrize(("ours", "theirs", "expected"), [(OWN, BASE, "not worse"), (BASE, OWN, "worse")])
def test_evidence_is_about_an_increase_of_the_drop(ours: Outcomes, theirs: Outcomes, expected: str) -> None:
    """Losing more is worse: with forty times the problems it is proven, in the right direction."""

    def often(outcomes: Outcomes) -> Outcomes:
        return {name: [letters * 40 for letters in seeds] for name, seeds in outcomes.items()}

    assert change_of(summarize(robust_session(often(ours), often(theirs)))).evidence == expected


def test_nominal_results_stay_what_they_are() -> None:
    """pass@1, regressions and the number of problems are of nominal cases alone."""
    summary = summarize(robust_session(BASE, OWN))

    assert [(one.recipe, len(one.solved), one.missing) for one in summary.results] == [("auto", 10, 0), ("int8", 10, 0)]
    (comparison,) = summary.comparisons
    assert (comparison.regressed, comparison.fixed) == ((), ())
    assert (summary.planned, summary.missing) == (96, 0)


def test_a_problem_whose_worst_is_not_known_is_left_out() -> None:
    """A lost case might have failed: it is missing, and its problem is left out."""
    lost = {"": [NOMINAL], "typos": [" +++++++++--", "++++++++++--", "++++++++++--"]}
    summary = summarize(robust_session(BASE, lost))

    assert (result_of(summary).problems, result_of(summary).missing) == (11, 1)
    assert value(result_of(summary).means[1].robust) == pytest.approx(9 / 11)
    assert change_of(summary).drop_increase.n == 11  # type: ignore[union-attr]


def test_a_problem_without_its_nominal_case_is_left_out() -> None:
    """There is nothing to compare with; the benchmark's own result counts it as missing."""
    lost = {**OWN, "": [" " + NOMINAL[1:]]}
    summary = summarize(robust_session(BASE, lost))

    assert (result_of(summary).problems, result_of(summary).missing) == (11, 0)
    assert [one.missing for one in summary.results] == [0, 1]


def test_without_nominal_cases_nothing_is_defined() -> None:
    """As after `-k`: no number, but a reason."""
    alone = {"typos": OWN["typos"]}
    summary = summarize(robust_session(alone, alone))

    assert (result_of(summary).planned, result_of(summary).unpaired, result_of(summary).missing) == (36, 36, 0)
    assert result_of(summary).means[1].drop == Undefined(reason="no problem was evaluated")
    assert change_of(summary).drop_increase == Undefined(reason="no problem was evaluated under both recipes")


def test_problems_with_different_prompts_are_not_compared() -> None:
    """Either the candidate has more perturbed prompts, or a perturbation made another prompt in an earlier run."""
    fewer = {**BASE, "typos": [*BASE["typos"][:2], "++++++++.+--"]}
    change = change_of(summarize(robust_session(fewer, OWN)))
    assert (change.broken, change.drop_increase.n) == (("micro/0",), 11)  # type: ignore[union-attr]

    material = robust_session(BASE, OWN)
    other = [
        replace(one, prompt_diff="+others") if (one.recipe, one.case) == ("auto", perturbed(8, "typos", 2)) else one
        for one in material.records
    ]
    assert change_of(summarize(replace(material, records=other))).broken == ("micro/0",)  # and not micro/8


HALVES: Outcomes = {"": ["++--"], HALF_LABEL: ["+++-"], "tabs": ["+-+-"]}


def test_half_a_solution_is_the_measure_of_half_a_solution() -> None:
    """Of three that are solved with half given, tabs lose one; the full form does not matter."""
    material = robust_session(HALVES, HALVES, [TABS])

    assert numbers(material, scope="tabs")[:3] == pytest.approx((3 / 4, 2 / 4, 1 / 3))


def test_over_both_forms_both_nominal_cases_count() -> None:
    """A problem is solved nominally if it is solved in every form that was perturbed."""
    both = {**HALVES, "words": ["-+++"]}
    material = robust_session(both, both, [TABS, WORDS])

    assert numbers(material, scope="words")[:3] == pytest.approx((2 / 4, 3 / 4, -0.5))
    assert numbers(material)[:3] == pytest.approx((2 / 4, 1 / 4, 1.0 - 0.5 / 1.0))


def test_what_passes_in_its_own_form_gains_nothing() -> None:
    """Solved in full and not with half given, and the same when perturbed: nothing has changed."""
    either = {"": ["+"], HALF_LABEL: ["-"], "tabs": ["-"], "words": ["+"]}
    means = result_of(summarize(robust_session(either, either, [TABS, WORDS]))).means[1]

    assert [value(getattr(means, name)) for name in ("nominal", "relative", "lost", "gained")] == [0, 0, 0, 0]


def test_a_lost_half_given_case_is_missing() -> None:
    """No other result counts it, and a gate must not ignore it."""
    lost = {**HALVES, HALF_LABEL: [" ++-"]}
    result = result_of(summarize(robust_session(HALVES, lost, [TABS])))

    assert (result.problems, result.missing) == (3, 1)


def test_perturbations_and_categories_are_corrected_apart() -> None:
    """Benjamini-Hochberg over three perturbations, over two categories, and over nothing for all of them."""
    base = {"": ["+" * 12], HALF_LABEL: ["+" * 12], "typos": ["+" * 12], "words": ["+" * 12], "tabs": ["+" * 12]}
    own = {**base, "typos": ["-" * 6 + "+" * 6], "words": ["-" + "+" * 11]}
    summary = summarize(robust_session(base, own, [TYPOS, WORDS, TABS]))
    found = {one.scope: (one.mcnemar_p, one.mcnemar_p_adjusted) for one in summary.robust_changes}

    six = 2 / 2**6
    assert found["typos"] == pytest.approx((six, 3 * six))
    assert found["words"] == found["tabs"] == (1, 1)
    assert found["docstring"] == pytest.approx((six, 2 * six))
    assert found["format"] == (1, 1)
    assert found[ALL] == pytest.approx((six, six))


def test_the_control_is_not_corrected_for() -> None:
    """It is not a candidate: candidates keep their p-values, and it keeps its own."""
    material = robust_session(BASE, OWN)
    again = [replace(one, recipe="control") for one in material.records if one.recipe == "int8"]
    control = replace(
        material,
        records=[*material.records, *again],
        planned=[*material.planned, *((one.recipe, one.case) for one in again)],
        recipes={**material.recipes, "control": replace(INT8, name="control", role="control")},
        control="control",
    )

    changes = [change_of(summarize(control), scope, name) for scope in ("typos", ALL) for name in ("control", "int8")]
    assert [(one.mcnemar_p, one.mcnemar_p_adjusted) for one in changes] == [(0.5, 0.5)] * 4


def test_without_facts_there_are_no_results() -> None:
    """A run may be interrupted before the facts about perturbations arrive."""
    material = replace(robust_session(BASE, OWN), perturbations={})
    summary = summarize(material)

    assert (summary.robust_results, summary.robust_changes) == ((), ())


def test_without_a_baseline_nothing_is_compared() -> None:
    """A recipe's own losses are reported all the same."""
    summary = summarize(replace(robust_session(BASE, OWN), baseline=None))

    assert summary.robust_changes == ()
    assert result_of(summary).problems == 12


def test_several_samples_are_estimated_like_pass_at_k() -> None:
    """One of two samples passes under every perturbation: half of the problem is kept at pass@1."""
    material = robust_session({"": ["++"], "typos": ["++"]}, {"": ["++"], "typos": ["++"]})

    texts = {"": "++", "typos": "+-"}
    records = [
        replace(one, samples=tuple(replace(one.samples[0], execution=EXECUTIONS[sign]) for sign in texts[name]))
        for one in material.records
        for name in (one.case.perturbation or "",)
    ]
    means = result_of(summarize(replace(material, records=records))).means

    assert set(means) == {1}
    assert [value(getattr(means[1], name)) for name in ("nominal", "robust", "drop", "lost")] == [1, 0.5, 0.5, 0.5]


def test_two_benchmarks_do_not_mix() -> None:
    """Each has its own perturbations, its own problems and its own change."""
    material = robust_session(BASE, OWN)
    moved = [
        replace(one, case=replace(one.case, benchmark="other")) for one in material.records if one.recipe == "auto"
    ]
    moved += [replace(one, recipe="int8") for one in moved]
    both = replace(
        material,
        records=[*material.records, *moved],
        planned=[*material.planned, *((one.recipe, one.case) for one in moved)],
        perturbations={**material.perturbations, ("other", "typos"): replace(TYPOS, benchmark="other")},
    )
    changes = {one.benchmark: one for one in summarize(both).robust_changes if one.scope == ALL}

    assert value(changes["micro"].drop_increase) == pytest.approx(0.2)
    assert value(changes["other"].drop_increase) == 0


def test_examples_are_of_the_problems_that_broke_most() -> None:
    """One case each, at most three, with both diffs; only cases that the baseline solves."""
    base = {"": ["+" * 6], "typos": ["+" * 6] * 3}
    own = {"": ["+" * 6], "typos": ["-" * 5 + "+", "++-+++", "++-+-+"]}
    change = change_of(summarize(robust_session(base, own)))

    assert [one.case for one in change.examples] == [f"micro/{n}-typos-s0" for n in (2, 4, 0)]
    first = change.examples[0]
    assert (first.reason, first.prompt_diff) == ("failed: assert 1 == 2", "+typos")
    assert change_of(summarize(robust_session(own, own))).examples == ()
    assert change_of(summarize(robust_session(base, own)), "typos").examples == ()


def test_docstrings_of_a_chat_model_are_left_out_of_the_diff() -> None:
    """Its program repeats the docstring of the prompt, which has a diff of its own."""

    def with_program(made: Record, text: str, returned: str) -> Record:
        (sample,) = made.samples
        function = f'def f(n):\n    """{text}\n\n    More.\n    """\n    return {returned}'
        program = f"    pass\n\n\ndel f\n\n\nimport math\n\n\n{function}"
        return replace(made, samples=(replace(sample, extracted=program),))

    session = robust_session({"": ["+"], "typos": ["+"]}, {"": ["+"], "typos": ["-"]})
    records = [with_program(one, one.prompt_diff or "Square.", one.prompt_diff or "n * n") for one in session.records]
    (example,) = change_of(summarize(replace(session, records=records))).examples

    changed = [line for line in example.completion_diff.splitlines() if not line.startswith(("---", "+++", "@@"))]
    assert changed == [" def f(n):", "-    return n * n", "+    return +typos"]


def test_perturbed_problems_that_share_a_source_prove_less() -> None:
    """Neighbours in pairs; the values stay as they are."""
    found = robust_session(BASE, OWN)
    pairs = {f"micro/{number}": f"pair {number // 2}" for number in range(12)}
    shared = replace(found, benchmarks={"micro": {**found.benchmarks["micro"], "clusters": pairs}})
    (alone, *_), (together, *_) = summarize(found).robust_changes, summarize(shared).robust_changes

    for before, after in (
        (alone.drop_increase, together.drop_increase),
        (alone.robust_pass_delta, together.robust_pass_delta),
    ):
        assert isinstance(before, Estimate)
        assert isinstance(after, Estimate)
        assert before.value == pytest.approx(after.value)
        assert (after.high or 0) - (after.low or 0) > (before.high or 0) - (before.low or 0)
    assert alone.broken == together.broken
