"""A local variable under a fixed, a random or a proposed name."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.code.variables import (
    NAMES_FILE,
    RENAME_VARIABLE_NAIVE,
    RENAME_VARIABLE_RANDOM,
    Proposal,
    read_proposals,
    rename_variable_model,
)
from tests.unit.perturb.builders import problem, run_solution


def test_the_most_frequent_is_renamed_everywhere() -> None:
    """In prompt and solution, but not where the same letters are an attribute, a keyword, a string or a comment."""
    given_half = "pair = n\ntotal = n + n\ntotal += 1  # total\nbox = dict(total=total)\n"
    before = problem(given_half, "return box['total'], total\n")
    after = perturb_problem(before, RENAME_VARIABLE_NAIVE, 0)

    assert after.prompt.endswith("VAR_0 = n + n\n    VAR_0 += 1  # total\n    box = dict(total=VAR_0)\n")
    assert after.canonical_solution == "    return box['total'], VAR_0\n"
    assert run_solution(after, 2) == run_solution(before, 2)


def test_of_equally_frequent_ones_the_first_counts() -> None:
    """In ReCode the order of a set decides, so its own files disagree in 21 rows."""
    before = problem("b = n\na = n\n", "return a - b\n")

    assert "VAR_0 = n\n    a = n\n" in perturb_problem(before, RENAME_VARIABLE_NAIVE, 0).prompt


@pytest.mark.parametrize(
    "given_half",
    [
        "n += n\n",  # a parameter: calls by keyword would break
        "max = n\nmax += max\n",  # hides a builtin, elsewhere it may be the builtin
        "def x(y):\n    return y\n",  # a function and its parameter
        "import math as x\n",
        'x = n\nn = f"{x}"\n',  # has no known position before Python 3.12
        "x = n\nn = locals()\n",
        "try:\n    n = n\nexcept ValueError as x:\n    n = x\n",
        "global x\nx = n\n",
        "class A:\n    x = 1\nn = A.x + n\n",
    ],
)
def test_what_cannot_be_renamed_everywhere_stays(given_half: str) -> None:
    """In doubt nothing is renamed."""
    before = problem(given_half, "return n\n")

    for perturbation in (RENAME_VARIABLE_NAIVE, RENAME_VARIABLE_RANDOM):
        assert perturbation.apply(before, random.Random(0)) is before  # noqa: S311 - no cryptography


def test_a_taken_name_is_not_used() -> None:
    """VAR_0 may be a variable of the problem."""
    before = problem("VAR_0 = n\nx = VAR_0 + 1\nx += x\n", "return x, VAR_0\n")
    after = perturb_problem(before, RENAME_VARIABLE_NAIVE, 0)

    assert "VAR_0_2 += VAR_0_2" in after.prompt
    assert run_solution(after, 1) == (4, 1)


@settings(deadline=None)
@given(
    st.from_regex(r"\A[a-m]{1,6}\Z").filter(lambda name: name not in {"if", "in", "abs", "all", "hash", "help", "id"}),
    st.integers(0, 9),
)
def test_random_names_are_as_long(name: str, seed: int) -> None:
    """Letters and digits, a letter first, in the place of every use."""
    before = problem(f"x{name} = n\nx{name} += x{name}\n", f"return x{name}\n")
    after = perturb_problem(before, RENAME_VARIABLE_RANDOM, seed)
    new = after.canonical_solution.split()[-1]

    assert new != f"x{name}"
    assert new.isidentifier()
    assert new.isalnum()
    assert len(new) == len(name) + 1
    assert after.prompt == before.prompt.replace(f"x{name}", new)


BEFORE = problem("x = n + 1\nx += x\n", "return x\n")


def perturb(*names: str, variable: str = "x") -> str:
    """Return the code of the perturbed half when these names were proposed."""
    rows = {"made up/0": Proposal(task_id="made up/0", variable=variable, names=list(names))}
    return perturb_problem(BEFORE, rename_variable_model(rows), 0).prompt.partition('1\n    """\n')[2]


def test_the_best_name_is_used_everywhere() -> None:
    """In the given half and in the rest of the solution."""
    rows = {"made up/0": Proposal(task_id="made up/0", variable="x", names=["total"])}
    after = perturb_problem(BEFORE, rename_variable_model(rows), 0)

    assert after.prompt.endswith("    total = n + 1\n    total += total\n")
    assert after.canonical_solution == "    return total\n"
    assert run_solution(after, 2) == run_solution(BEFORE, 2)


def test_a_name_that_is_not_free_is_skipped() -> None:
    """A parameter, a word of the prompt, a builtin, a keyword, the old name, no name at all."""
    assert (
        perturb("n", "Compute", "sum", "class", "x", "2nd", "total", "value")
        == "    total = n + 1\n    total += total\n"
    )


@pytest.mark.parametrize("names", [(), ("n", "sum")])
def test_without_a_free_name_nothing_changes(names: Sequence[str]) -> None:
    """The problem counts as unchanged."""
    assert perturb(*names) == "    x = n + 1\n    x += x\n"


def test_names_for_another_variable_or_problem_are_ignored() -> None:
    """The file may belong to other halves."""
    assert perturb("total", variable="y") == "    x = n + 1\n    x += x\n"
    assert rename_variable_model({}).apply(BEFORE, random.Random(0)) is BEFORE  # noqa: S311 - no cryptography


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, f"there is no {NAMES_FILE} in .*: docs/robustness.md says how to make it"),
        ('{"task_id": "a", "variable": "x"}', r"line 1: .*`names`.* Expected an object with task_id, variable, names"),
        ('{"task_id": "a", "variable": "x", "names": "y"}', "line 1: Expected `array`"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    """The error has the path, the line, and what was expected."""
    if text is not None:
        tmp_path.joinpath(NAMES_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_proposals(tmp_path)
