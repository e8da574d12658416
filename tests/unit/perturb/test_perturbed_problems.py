"""A benchmark's problems under perturbations: what is asked, beside what, and what could not be asked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.perturb.base import Form, Perturbation
from pytest_qeval.perturb.halves import half_given
from pytest_qeval.perturb.perturbed_problems import HALF, AppliedPerturbation, nominal_of, perturb_problems
from pytest_qeval.schema import Case, Problem
from tests.unit.perturb.builders import problem

TWO_LINES = problem("", "m = n\nreturn m\n")
ONE_LINE = replace(problem("", "return n\n"), task_id="made up/1")
Apply = Callable[[Problem, random.Random], Problem]


def perturbation(apply: Apply, *, name: str = "p", form: Form = "full", by_chance: bool = True) -> Perturbation:
    return Perturbation(
        name=name, category="docstring", level="word", summary="s", invariant="i", apply=apply, form=form,
        random=by_chance,
    )  # fmt: skip


def commented(asked: Problem, mark: str) -> Problem:
    return replace(asked, prompt=f"# {mark}\n{asked.prompt}")


def by_chance(asked: Problem, rng: random.Random) -> Problem:
    return commented(asked, str(rng.random()))


def constant(asked: Problem, _: random.Random) -> Problem:
    return commented(asked, "ever the same")


def left_alone(asked: Problem, _: random.Random) -> Problem:
    return asked


def broken(asked: Problem, _: random.Random) -> Problem:
    return replace(asked, prompt=f"def (\n{asked.prompt}")


def counts(found: AppliedPerturbation) -> tuple[int, int, int, int]:
    return found.applied, found.unchanged, found.repeated, found.invalid


@pytest.mark.parametrize(
    ("apply", "expected"),
    [(by_chance, (6, 0, 0, 0)), (constant, (2, 0, 4, 0)), (left_alone, (0, 6, 0, 0)), (broken, (0, 0, 0, 6))],
    ids=["applied", "repeated", "unchanged", "invalid"],
)
def test_every_try_is_counted_once(apply: Apply, expected: tuple[int, int, int, int]) -> None:
    """Two problems and three seeds are six tries; what is applied is what is asked."""
    made = perturb_problems([TWO_LINES, ONE_LINE], [perturbation(apply)], seeds=3)

    assert counts(made.of["p"]) == expected
    assert sum(case.perturbation == "p" for case in made.problems) == expected[0]


def test_an_invalid_question_has_a_reason_and_is_not_asked() -> None:
    """By the label of its case; nor is the nominal one, with which nothing would be compared."""
    made = perturb_problems([ONE_LINE], [perturbation(broken)], seeds=1)

    assert made.of["p"].reasons == {"made up/1-p-s0": "prompt and solution do not compile, or do not define 'old_name'"}
    assert made.problems == {}


def test_a_perturbation_without_a_choice_is_asked_once() -> None:
    """However many seeds there are; that is what the report says, too."""
    made = perturb_problems([ONE_LINE], [perturbation(constant, by_chance=False)], seeds=5)

    assert counts(made.of["p"]) == (1, 0, 0, 0)
    assert made.of["p"].seeds == 1


def test_the_nominal_comes_first_and_once() -> None:
    """Though two perturbations with two seeds are compared with it."""
    two = [perturbation(by_chance, name=name) for name in ("p", "q")]
    made = perturb_problems([TWO_LINES], two, seeds=2)

    labels = ["made up/0", *(f"made up/0-{name}-s{seed}" for name in "pq" for seed in range(2))]
    assert [case.label for case in made.problems] == labels
    assert made.problems[Case(benchmark="made up", task_id="made up/0")] is TWO_LINES


def test_half_a_solution_is_compared_with_half_a_solution() -> None:
    """Giving the half away helps a model more than any perturbation hurts it."""
    made = perturb_problems([TWO_LINES], [perturbation(by_chance, form="half")], seeds=1)
    half, perturbed = made.problems

    assert (half.perturbation, perturbed.perturbation) == (HALF, "p")
    assert made.problems[half] == half_given(TWO_LINES)
    assert made.problems[perturbed].prompt.endswith(made.problems[half].prompt)
    assert nominal_of(perturbed, made.of["p"].perturbation) == half


def test_a_solution_of_one_line_has_no_half() -> None:
    """It is left out and counted, not asked in full."""
    made = perturb_problems([ONE_LINE], [perturbation(by_chance, form="half")], seeds=2)

    assert counts(made.of["p"]) == (0, 2, 0, 0)
    assert made.problems == {}


def test_other_perturbations_and_problems_change_nothing() -> None:
    """A question follows from its problem, its perturbation and its seed alone."""
    alone = perturb_problems([TWO_LINES], [perturbation(by_chance)], seeds=2).problems
    beside = perturb_problems(
        [ONE_LINE, TWO_LINES], [perturbation(by_chance, name="q"), perturbation(by_chance)], seeds=3
    )

    assert {case: beside.problems[case] for case in alone} == alone


def test_an_exception_names_the_perturbation_and_the_case() -> None:
    """It may be the user's own."""

    def fails(asked: Problem, _: random.Random) -> Problem:
        raise KeyError(asked.entry_point)

    with pytest.raises(DataError, match=r"'p' failed on made up/1-p-s0 \(KeyError: 'old_name'\): it must give every"):
        perturb_problems([ONE_LINE], [perturbation(fails)], seeds=1)


def test_a_sentence_for_the_user_is_passed_on() -> None:
    """Such as of a file that is missing: it says already what to do."""

    def refuses(_: Problem, __: random.Random) -> Problem:
        raise UsageError("the file is missing")

    with pytest.raises(UsageError, match=r"^the file is missing$"):
        perturb_problems([ONE_LINE], [perturbation(refuses)], seeds=1)
