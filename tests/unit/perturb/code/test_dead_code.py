"""Dead code at the beginning and at the end of the given half."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from pytest_qeval.perturb.base import Perturbation, perturb_problem
from pytest_qeval.perturb.code.dead_code import DEAD_CODE_FIRST, DEAD_CODE_LAST
from tests.unit.perturb.builders import problem, run_solution

_HEADS = {"if False:", "while False:", "for _ in range(0):"}
_NO_CHOICE = random.Random(0)  # noqa: S311 - no cryptography


def _inserted(before: str, after: str) -> tuple[int, list[str]]:
    """Return the line where lines were inserted, and the lines."""
    old, new = before.splitlines(), after.splitlines()
    place = next((number for number, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(old))
    extra = len(new) - len(old)
    assert new[:place] + new[place + extra :] == old, "nothing else may change"
    return place, new[place : place + extra]


@pytest.mark.parametrize("seed", range(6))
def test_first(seed: int) -> None:
    """After docstring and imports; a copied statement in a block that is never entered."""
    before = problem("import math\nx = math.ceil(n)\ny = x\n", "return x + y\n")
    after = perturb_problem(before, DEAD_CODE_FIRST, seed)
    place, (head, copy) = _inserted(before.prompt, after.prompt)

    assert before.prompt.splitlines()[place - 1] == "    import math"
    assert head.strip() in _HEADS
    assert copy in {"        x = math.ceil(n)", "        y = x"}
    assert run_solution(after, 1.5) == 4


def test_all_three_blocks_occur() -> None:
    """The seed chooses."""
    before = problem("x = n\n", "return x\n")
    heads = {
        _inserted(before.prompt, perturb_problem(before, DEAD_CODE_FIRST, seed).prompt)[1][0].strip()
        for seed in range(30)
    }

    assert heads == _HEADS


@pytest.mark.parametrize(
    ("given_half", "rest", "indentation", "line_before"),
    [
        ("x = n\n\n", "return x\n", 4, "    x = n"),
        ("x = n\nfor i in range(3):\n", "    x += i\nreturn x\n", 8, "    for i in range(3):"),
        ("x = n\nif n:\n    x = 2\n", "else:\n    x = 3\nreturn x\n", 8, "        x = 2"),
        ("x = n\nif n:\n    x = 2\nelse:\n", "    x = 3\nreturn x\n", 8, "        x = 2"),
        ("x = n\nif not x:\n    return 4\n", "return x\n", 8, "    if not x:"),
        ("x = n\ny = [\n    1,\n", "    2,\n]\nreturn x\n", 4, "    x = n"),
        ("x = n\nif x: return x\n", "return 5\n", 4, "    if x: return x"),
    ],
)
def test_last(given_half: str, rest: str, indentation: int, line_before: str) -> None:
    """In the block that the rest continues: after a complete statement, before one that leaves the block or is open."""
    before = problem(given_half, rest)
    after = perturb_problem(before, DEAD_CODE_LAST, 0)
    place, (head, _copy) = _inserted(before.prompt, after.prompt)

    assert before.prompt.splitlines()[place - 1] == line_before
    assert len(head) - len(head.lstrip()) == indentation
    assert after.canonical_solution == before.canonical_solution
    assert run_solution(after, 3) == run_solution(before, 3)


def test_no_name_becomes_local_that_was_not() -> None:
    """An assignment copied out of a nested function could hide a variable; a statement that binds nothing cannot."""
    given_half = "def inner(k):\n    total = k\n    return k\n"
    for seed in range(10):
        after = perturb_problem(problem(given_half, "return inner(n)\n"), DEAD_CODE_FIRST, seed)
        assert "        return k\n    def inner" in after.prompt


@pytest.mark.parametrize("perturbation", [DEAD_CODE_FIRST, DEAD_CODE_LAST], ids=lambda found: found.name)
@pytest.mark.parametrize("given_half", ["for i in range(n):\n", "import math\n", "x = [\n    n,\n"])
def test_without_a_statement_nothing_changes(perturbation: Perturbation, given_half: str) -> None:
    """Dead code is always a copy."""
    rest = "    n,\n]\nreturn n\n" if "[" in given_half else "    pass\nreturn n\n"
    before = problem(given_half, rest if not given_half.startswith("import") else "return n\n")

    assert perturbation.apply(before, _NO_CHOICE) is before


def test_a_docstring_is_not_copied() -> None:
    """It would be a second docstring."""
    text = 'def old_name(n):\n    """Compute."""\n'
    before = replace(problem("", "x = n\nreturn x\n"), prompt=text)

    assert DEAD_CODE_LAST.apply(before, _NO_CHOICE) is before
