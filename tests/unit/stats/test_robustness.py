"""Robust pass, drop and relative: hand-computed values, ReCode's definitions, and the difference of two recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.schema import Estimate, Quantity, Undefined
from pytest_qeval.stats.passk import pass_at_k
from pytest_qeval.stats.robustness import (
    ProblemRobustness,
    drop_increase,
    mean_robustness,
    problem_robustness,
)

# Twelve problems, greedy: nominal, then three seeds. By hand: 8 are solved nominally; a, b and l are robust, l
# only when perturbed; c to h are lost; i, j and l are gained.
TWELVE = {
    "a": "+ +++",
    "b": "+ +++",
    "c": "+ ++-",
    "d": "+ +-+",
    "e": "+ -++",
    "f": "+ --+",
    "g": "+ ---",
    "h": "+ ---",
    "i": "- +--",
    "j": "- -+-",
    "k": "- ---",
    "l": "- +++",
}


def problems(words: Sequence[str]) -> list[ProblemRobustness]:
    """Read `+ +-`: a greedy sample with the nominal prompt, and under two perturbations."""
    split = (word.split() for word in words)
    return [problem_robustness([own == "+"], [[one == "+"] for one in perturbed]) for own, perturbed in split]


def value(quantity: Quantity) -> float:
    assert isinstance(quantity, Estimate)
    return quantity.value


def test_twelve_problems_by_hand() -> None:
    """Each number as counted by hand."""
    found = mean_robustness(problems(list(TWELVE.values())))

    assert value(found.nominal) == pytest.approx(8 / 12)
    assert value(found.robust) == pytest.approx(3 / 12)
    assert value(found.drop) == pytest.approx((8 - 3) / 8)
    assert value(found.lost) == pytest.approx(6 / 12)
    assert value(found.gained) == pytest.approx(3 / 12)
    assert value(found.relative) == pytest.approx(9 / 12)


def recode(nominal: Sequence[bool], perturbed: Sequence[Sequence[bool]], k: int) -> tuple[float, float]:
    """Return robust pass and robust relative as their definitions are written: counters over samples."""
    n = len(nominal)
    robust = negative = positive = 0
    for sample in range(n):
        outcomes = [seed[sample] for seed in perturbed]
        worst, best = int(all(outcomes)), int(any(outcomes))
        robust += worst
        if worst != int(nominal[sample]):
            negative += 1
        elif best != int(nominal[sample]):
            positive += 1
    return pass_at_k(n, robust, k), pass_at_k(n, negative, k) + pass_at_k(n, positive, k)


@given(st.data())
def test_the_definitions_are_recodes(data: st.DataObject) -> None:
    """For any samples and seeds; a greedy sample that changes is either lost or gained."""
    n = data.draw(st.integers(1, 6))
    row = st.lists(st.booleans(), min_size=n, max_size=n)
    nominal, perturbed = data.draw(row), data.draw(st.lists(row, min_size=1, max_size=4))
    k = data.draw(st.integers(1, n))
    found = problem_robustness(nominal, perturbed, k=k)

    assert (found.robust, found.relative) == recode(nominal, perturbed, k)
    assert found.nominal == pass_at_k(n, sum(nominal), k)
    if n == 1:
        assert found.relative == found.lost + found.gained


def test_several_samples_are_paired_by_their_number() -> None:
    """Two seeds that each lose another of two samples leave no robust sample."""
    found = problem_robustness([True, True], [[True, False], [False, True]])

    assert (found.nominal, found.robust, found.lost) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("k", "expected"),
    [(1, (2 / 3, 1 / 3, 1 / 3, 1 / 3, 2 / 3)), (2, (1, 2 / 3, 2 / 3, 2 / 3, 4 / 3)), (3, (1, 1, 1, 1, 2))],
)
def test_three_samples_by_hand(k: int, expected: tuple[float, ...]) -> None:
    """The first sample is robust, the second lost under a seed, the third gained under one: 1 - C(3 - c, k) / C(3, k).

    ReCode adds up the chances of both directions, so that its relative may exceed 1.
    """
    found = problem_robustness([True, True, False], [[True, False, False], [True, True, True]], k=k)

    assert (found.nominal, found.robust, found.lost, found.gained, found.relative) == pytest.approx(expected)


def test_a_relative_of_more_than_1_has_an_interval() -> None:
    """It may reach 2, and its interval ends there."""
    some = ProblemRobustness(nominal=0.5, robust=0.0, lost=0.9, gained=0.9, relative=1.8, greedy=False)
    found = mean_robustness([some, replace(some, relative=1.9), replace(some, relative=2.0)]).relative

    assert isinstance(found, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx(1.9)
    assert found.low < found.value < found.high <= 2


def test_what_passed_before_is_no_gain() -> None:
    """Where a problem has two forms, each perturbation is compared with the form that it perturbs."""
    full, half = [True], [False]
    same = problem_robustness([False], [[True], [False]], originals=[full, half])
    gained = problem_robustness([False], [[True], [True]], originals=[full, half])

    assert (same.gained, same.relative, same.lost) == (0, 0, 0)
    assert (gained.gained, gained.relative, gained.robust) == (1, 1, 1)


@pytest.mark.parametrize("perturbed", [[], [[True, False]]])
def test_what_does_not_match_is_refused(perturbed: list[list[bool]]) -> None:
    """No perturbation, or a different number of samples."""
    with pytest.raises(ValueError, match="at least one perturbation, with as many samples"):
        problem_robustness([True], perturbed)


def test_nothing_solved_leaves_no_drop() -> None:
    """It is undefined with a reason, as it is without problems."""
    none = problems(["- ++", "- --"])

    assert mean_robustness(none).drop == Undefined(reason="no nominal problem was solved, so nothing could be dropped")
    assert isinstance(drop_increase(none, problems(["+ ++", "+ --"])), Undefined)
    assert isinstance(mean_robustness([]).drop, Undefined)
    assert isinstance(drop_increase([], []), Undefined)


def test_the_increase_is_the_difference_of_the_drops() -> None:
    """Its interval contains it; if nothing changed it is 0, with an interval around it."""
    base = problems(["+ +", "+ +", "+ -", "- -", "+ +", "- +", "+ +", "+ +"])
    own = problems(["+ +", "+ -", "+ -", "- -", "+ +", "- -", "+ -", "- -"])
    found, same = drop_increase(base, own), drop_increase(base, base)

    assert value(found) == pytest.approx(value(mean_robustness(own).drop) - value(mean_robustness(base).drop))
    assert isinstance(found, Estimate)
    assert isinstance(same, Estimate)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert same.value == 0
    assert same.low is not None
    assert same.high is not None
    assert same.low < 0 < same.high
    assert same.low == pytest.approx(-same.high)


def test_the_increase_has_a_direction() -> None:
    """Swapping the recipes negates it."""
    base = problems(["+ +", "+ +", "+ -", "- -", "+ +", "+ +"] * 5)
    own = problems(["+ +", "+ -", "+ -", "- -", "+ +", "+ -"] * 5)
    there, back = drop_increase(base, own), drop_increase(own, base)

    assert isinstance(there, Estimate)
    assert isinstance(back, Estimate)
    assert there.low is not None
    assert back.high is not None
    assert there.low > 0
    assert there.low == pytest.approx(-back.high)
