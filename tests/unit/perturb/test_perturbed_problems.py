"""A benchmark's problems under perturbations: which are perturbed, with which nominal ones, and what is counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.perturb.base import Form, Perturbation, half_given
from pytest_qeval.perturb.perturbed_problems import AppliedPerturbation, nominal_of, perturb_problems
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


def commented(nominal: Problem, mark: str) -> Problem:
    return replace(nominal, prompt=f"# {mark}\n{nominal.prompt}")


def by_chance(nominal: Problem, rng: random.Random) -> Problem:
    return commented(nominal, str(rng.random()))


def constant(nominal: Problem, _: random.Random) -> Problem:
    return commented(nominal, "ever the same")


def left_alone(nominal: Problem, _: random.Random) -> Problem:
    return nominal


def broken(nominal: Problem, _: random.Random) -> Problem:
    return replace(nominal, prompt=f"def (\n{nominal.prompt}")


def counts(found: AppliedPerturbation) -> tuple[int, int, int, int]:
    return found.applied, found.unchanged, found.repeated, found.invalid


@pytest.mark.parametrize(
    ("apply", "expected"),
    [(by_chance, (6, 0, 0, 0)), (constant, (2, 0, 4, 0)), (left_alone, (0, 6, 0, 0)), (broken, (0, 0, 0, 6))],
    ids=["applied", "repeated", "unchanged", "invalid"],
)
def test_every_case_is_counted_once(apply: Apply, expected: tuple[int, int, int, int]) -> None:
    """Two problems and three seeds are six cases; those that are applied are perturbed problems of the run."""
    made = perturb_problems([TWO_LINES, ONE_LINE], [perturbation(apply)], seeds=3)

    assert counts(made.of["p"]) == expected
    assert sum(case.perturbation == "p" for case in made.problems) == expected[0]


def test_an_invalid_problem_has_a_reason_and_is_left_out() -> None:
    """The reason is found by the label of the case; without a perturbed problem the nominal one is left out, too."""
    made = perturb_problems([ONE_LINE], [perturbation(broken)], seeds=1)

    assert made.of["p"].reasons == {"made up/1-p-s0": "prompt and solution do not compile, or do not define 'old_name'"}
    assert made.problems == {}


def test_a_perturbation_that_makes_no_choice_has_one_seed() -> None:
    """However many are wanted."""
    made = perturb_problems([ONE_LINE], [perturbation(constant, by_chance=False)], seeds=5)

    assert counts(made.of["p"]) == (1, 0, 0, 0)
    assert made.of["p"].seeds == 1


def test_the_nominal_problem_comes_first_and_once() -> None:
    """Though two perturbations with two seeds are compared with it."""
    two = [perturbation(by_chance, name=name) for name in ("p", "q")]
    made = perturb_problems([TWO_LINES], two, seeds=2)

    labels = ["made up/0", *(f"made up/0-{name}-s{seed}" for name in "pq" for seed in range(2))]
    assert [case.label for case in made.problems] == labels
    assert made.problems[Case(benchmark="made up", task_id="made up/0")] is TWO_LINES


def test_half_given_problems_are_compared_with_half_given_ones() -> None:
    """The given half helps a model more than any perturbation hurts it."""
    made = perturb_problems([TWO_LINES], [perturbation(by_chance, form="half")], seeds=1)
    half, perturbed = made.problems

    assert (half.half, half.perturbation, perturbed.perturbation) == (True, None, "p")
    assert made.problems[half] == half_given(TWO_LINES)
    assert made.problems[perturbed].prompt.endswith(made.problems[half].prompt)
    assert nominal_of(perturbed, made.of["p"].perturbation) == half


def test_a_solution_of_one_line_has_no_half() -> None:
    """It counts as unchanged, and is not perturbed in full instead."""
    made = perturb_problems([ONE_LINE], [perturbation(by_chance, form="half")], seeds=2)

    assert counts(made.of["p"]) == (0, 2, 0, 0)
    assert made.problems == {}


def test_other_perturbations_and_problems_change_nothing() -> None:
    """A perturbed problem depends on its problem, its perturbation and its seed alone."""
    alone = perturb_problems([TWO_LINES], [perturbation(by_chance)], seeds=2).problems
    beside = perturb_problems(
        [ONE_LINE, TWO_LINES], [perturbation(by_chance, name="q"), perturbation(by_chance)], seeds=3
    )

    assert {case: beside.problems[case] for case in alone} == alone


@pytest.mark.parametrize(
    ("apply", "fault"),
    [
        (lambda _nominal, _rng: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _nominal, _rng: None, "AttributeError"),
        (lambda nominal, _rng: replace(nominal, task_id="made up/9"), "it returned the problem made up/9"),
    ],
    ids=["raises", "returns nothing", "another problem"],
)
def test_a_failure_names_the_perturbation_and_the_case(apply: Any, fault: str) -> None:
    """The perturbation may be the user's own."""
    with pytest.raises(DataError, match=r"'p' failed on made up/1-p-s0 \(.*\): it must return every problem") as error:
        perturb_problems([ONE_LINE], [perturbation(apply)], seeds=1)

    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("def old_name(n):", "def old_name(n)", "do not compile"),
        ("def old_name(n):", "def old_name(n, more=0):", "the parameters are (n, more) instead of (n)"),
        ("def old_name(n):", "def new_name(n):", "do not define 'old_name'"),
    ],
)
def test_a_perturbation_that_breaks_the_program_is_invalid(old: str, new: str, reason: str) -> None:
    """Its problems are counted with the reason, and left out."""
    breaks = perturbation(lambda nominal, _rng: replace(nominal, prompt=nominal.prompt.replace(old, new)))
    made = perturb_problems([TWO_LINES], [breaks], seeds=None)

    assert (counts(made.of["p"]), dict(made.problems)) == ((0, 0, 0, 1), {})
    assert reason in made.of["p"].reasons["made up/0-p-s0"]


def test_an_error_for_the_user_is_passed_on() -> None:
    """Such as that of a missing file, which says what to do."""

    def refuses(_: Problem, __: random.Random) -> Problem:
        raise UsageError("the file is missing")

    with pytest.raises(UsageError, match=r"^the file is missing$"):
        perturb_problems([ONE_LINE], [perturbation(refuses)], seeds=1)
