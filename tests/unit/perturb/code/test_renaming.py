"""A function is renamed wherever its name is meant, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.perturb.code.renaming import is_free, rename_function
from tests.unit.perturb.builders import function_named, problem, run_solution, source_of


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("1st", "no identifier"),
        ("class", "a keyword"),
        ("match", "a soft keyword"),
        ("sorted", "a builtin"),
        ("helper", "a name of the problem"),
        ("Compute", "a word of the docstring"),
        ("candidate", "a name of the test"),
    ],
)
def test_a_name_is_taken(name: str, reason: str) -> None:
    """A new name must collide with nothing."""
    assert not is_free(name, problem("helper = n\n", "return helper\n")), reason


def test_recursion_follows() -> None:
    """The solution calls itself by the new name."""
    before = problem("if n < 2:\n    return 1\n", "return n * old_name(n - 1)\n")
    after = rename_function(before, "fresh")

    assert after
    assert "old_name" not in source_of(after)
    assert run_solution(after, 5) == 120


def test_the_test_follows() -> None:
    """A test that calls the function by its name, as that of HumanEval/33 does, calls it by the new one."""
    before = problem("", "return n\n", test="def check(candidate):\n    assert candidate(3) == old_name(3)\n")
    after = rename_function(before, "fresh")

    assert after
    assert after.test == "def check(candidate):\n    assert candidate(3) == fresh(3)\n"


def test_the_tests_own_function_stays() -> None:
    """A function called `check` is renamed, the test's `check` is not."""
    before = replace(function_named("check"), test="def check(candidate):\n    assert candidate(1) == 1\n")
    after = rename_function(before, "fresh")

    assert after
    assert after.test == before.test
    assert after.prompt.startswith("def fresh(n):")


def test_the_docstring_of_the_module_follows() -> None:
    """MBPP as a script shows a test with the name; a prompt without the name is left alone."""
    solution = "def old_name(n):\n    return n\n"
    before = replace(problem(""), prompt='"""\nassert old_name(1) == 1\n"""\n', canonical_solution=solution)
    after = rename_function(before, "fresh")

    assert after
    assert source_of(after) == source_of(before).replace("old_name", "fresh")
    assert rename_function(replace(before, prompt='"""\nDo it.\n"""\n'), "fresh") is None


def test_inside_other_words_nothing_changes() -> None:
    """`old_name` is neither in `old_names` nor in `my.old_name`, nor a keyword argument called so."""
    rest = "old_names = dict(old_name=n)\nreturn old_names['old_name'] + old_name.__name__.count('old_name')\n"
    before = problem("", rest)
    after = rename_function(before, "fresh")

    assert after
    assert after.canonical_solution == before.canonical_solution.replace("old_name.__name__", "fresh.__name__")


def test_a_local_variable_of_the_same_name_stays() -> None:
    """MBPP/66 has a variable with the name of its function."""
    before = problem("old_name = 0\n", "old_name += n\nreturn old_name\n")
    after = rename_function(before, "fresh")

    assert after
    assert after.canonical_solution == before.canonical_solution
    assert run_solution(after, 4) == 4


@pytest.mark.parametrize(
    ("prose", "expected"),
    [
        ("exchange(1) and exchanges", "fresh(1) and exchanges"),
        ("perform an exchange of elements", "perform an exchange of elements"),
        ("create a function exchange that", "create a function fresh that"),
        ("lst.exchange(1)", "lst.exchange(1)"),
    ],
)
def test_an_english_word_is_renamed_only_as_a_function(prose: str, expected: str) -> None:
    """`exchange` is HumanEval/110, and a word of its docstring."""
    before = function_named("exchange")
    after = rename_function(replace(before, prompt=before.prompt.replace("Compute.", prose)), "fresh")

    assert after
    assert after.prompt == before.prompt.replace("exchange(", "fresh(").replace("Compute.", expected)


def test_a_name_with_an_underscore_is_always_meant() -> None:
    """`old_name` is no word of English."""
    before = problem("", "return n\n")
    after = rename_function(replace(before, prompt=before.prompt.replace("Compute.", "What old_name returns")), "fresh")

    assert after
    assert "What fresh returns" in after.prompt


def test_a_name_in_an_f_string_is_left_alone() -> None:
    """Before Python 3.12 its position is unknown."""
    assert rename_function(problem("", 'return f"{old_name}"\n'), "fresh") is None
