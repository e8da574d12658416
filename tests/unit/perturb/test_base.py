"""Half-given problems, seeds and versions."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.perturb.base import Perturbation, half_given, perturb_problem, seeds_of
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import problem, source_of


@given(st.integers(2, 30))
def test_the_first_half_is_given(count: int) -> None:
    """Half of the lines, rounded down; the program stays the same."""
    whole = problem("", "".join(f"a{number} = n\n" for number in range(count)))
    half = half_given(whole)

    assert half
    assert source_of(half) == source_of(whole)
    assert half.prompt.endswith(f"a{count // 2 - 1} = n\n")
    assert (half.test, half.entry_point) == (whole.test, whole.entry_point)


def test_one_line_has_no_half() -> None:
    """The half would be the whole solution."""
    assert half_given(problem("", "return n\n")) is None


def test_blank_lines_alone_are_no_half() -> None:
    """HumanEval/134 begins with a line of one blank."""
    assert half_given(problem("", "\nx = n\nreturn x\n")) is None


def test_what_follows_the_function_does_not_count() -> None:
    """MBPP's helpers follow the function; half of the function is given, not half of the file."""
    whole = problem("", "x = n\nreturn helper(x)\n")
    half = half_given(replace(whole, canonical_solution=whole.canonical_solution + _HELPER))

    assert half
    assert half.prompt == whole.prompt + "    x = n\n"
    assert half.canonical_solution.endswith(_HELPER)


_HELPER = "\n\ndef helper(x):\n    y = x\n    y += 1\n    y += 1\n    return y\n"


def add_comment(nominal: Problem, rng: random.Random) -> Problem:
    return replace(nominal, prompt=f"# {rng.random()}\n{nominal.prompt}")


COMMENT = Perturbation(
    name="comment", category="format", level="format", summary="a comment", invariant="Code.", apply=add_comment
)


def test_the_seed_decides() -> None:
    """The same prompt for the same seed, another one for another seed."""
    nominal = problem("m = n\n", "return m\n")
    prompts = [perturb_problem(nominal, COMMENT, seed).prompt for seed in (0, 0, 1)]

    assert prompts[0] == prompts[1] != prompts[2]


@given(made=st.sets(st.integers(0, 50), min_size=1), wanted=st.none() | st.integers(1, 60))
def test_versions_come_in_the_order_of_their_seeds(made: set[int], wanted: int | None) -> None:
    """As many as wanted, all by default; each seed has its own version."""

    def version(seed: int) -> Perturbation:
        return replace(COMMENT, apply=lambda nominal, _rng: replace(nominal, prompt=f"# {seed}\n{nominal.prompt}"))

    one = replace(COMMENT, versions={seed: version(seed).apply for seed in made})
    seeds = seeds_of(one, wanted)

    assert list(seeds) == sorted(made)[: wanted or len(made)]
    assert [perturb_problem(problem("m = n\n"), one, seed).prompt.split("\n")[0] for seed in seeds] == [
        f"# {seed}" for seed in seeds
    ]


@given(wanted=st.integers(1, 60))
def test_seeds_count_from_zero(wanted: int) -> None:
    """One by default, and for a perturbation that makes no choice."""
    assert list(seeds_of(COMMENT, wanted)) == list(range(wanted))
    assert list(seeds_of(COMMENT, None)) == list(seeds_of(replace(COMMENT, random=False), wanted)) == [0]
