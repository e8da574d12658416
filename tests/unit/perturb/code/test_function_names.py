"""A new name for the function: valid, free, and in every place where the name is meant."""

from __future__ import annotations

import builtins
import keyword
import random
import re
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.perturb.base import Perturbation, perturb_problem
from pytest_qeval.perturb.code.name_words import inflections, other_style, substituted, synonyms_of
from pytest_qeval.perturb.code.renaming import is_free, renamed
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import run_solution, problem, source_of

_RANDOM = ("name_butter_fingers", "name_change_case", "name_inflection", "name_swap_characters", "name_synonym")
_NAMES = st.from_regex(r"\A[a-z][a-z]{0,6}(_[a-z]{1,6}|[A-Z][a-z]{1,5}){0,3}\Z").filter(
    lambda name: not keyword.iskeyword(name) and name not in dir(builtins)
)


def _called(name: str, body: str = "return n\n") -> Problem:
    text = problem("", body)
    prompt = text.prompt.replace("old_name", name)
    return replace(text, prompt=prompt, entry_point=name)


@settings(deadline=None)
@given(_NAMES, st.sampled_from(["name_camel_case", *_RANDOM]), st.integers(0, 9))
def test_a_new_name_is_valid_and_free(name: str, kind: str, seed: int) -> None:
    """No keyword, no builtin, no word of the problem; and the program defines it and still answers."""
    perturbation: Perturbation = registry.load("perturbations", kind)
    before = _called(name)
    after = perturb_problem(before, perturbation, seed)

    if after != before:
        assert is_free(after.entry_point, before)
        assert run_solution(after, 5) == 5
        assert not re.search(rf"\b{name}\(", source_of(after))


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
def test_a_name_may_be_taken(name: str, reason: str) -> None:
    """What collides with anything is not given."""
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
    before = replace(_called("check"), test="def check(candidate):\n    assert candidate(1) == 1\n")
    after = rename_function(before, "fresh")

    assert after
    assert after.test == before.test
    assert after.prompt.startswith("def fresh(n):")


def test_a_description_in_front_of_the_function_follows() -> None:
    """MBPP as a script tells the name in the test that it shows; where no prompt tells it, nothing is perturbed."""
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
    """MBPP/66 counts in a variable that is called like its function."""
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
    """`exchange` is HumanEval/110, and a word of its description."""
    before = _called("exchange")
    after = rename_function(replace(before, prompt=before.prompt.replace("Compute.", prose)), "fresh")

    assert after
    assert after.prompt == before.prompt.replace("exchange(", "fresh(").replace("Compute.", expected)


def test_a_name_with_an_underscore_is_always_meant() -> None:
    """`old_name` is no word of English."""
    before = problem("", "return n\n")
    after = rename_function(replace(before, prompt=before.prompt.replace("Compute.", "What old_name gives")), "fresh")

    assert after
    assert "What fresh gives" in after.prompt


def test_what_an_f_string_mentions_is_left_alone() -> None:
    """Before Python 3.12 nobody knows where it stands."""
    assert rename_function(problem("", 'return f"{old_name}"\n'), "fresh") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("has_close_elements", "hasCloseElements"),
        ("minSubArraySum", "min_sub_array_sum"),
        ("Strongest_Extension", "StrongestExtension"),
        ("_hidden_one", "_hiddenOne"),
        ("x_or_y", "xOrY"),
        ("longest", "longest"),
        ("fib4", "fib4"),
    ],
)
def test_other_style(name: str, expected: str) -> None:
    """Snake case becomes camel case and the other way round, one word stays."""
    assert other_style(name) == expected


def test_substituted_words_keep_their_case() -> None:
    """Underscores and capitals are the name's style, not its words."""
    words = {"path": ["way"], "xy": ["ab"]}
    new = substituted("minPathXY_4", lambda word: words.get(word, []), random.Random(3))  # noqa: S311 - no cryptography

    assert new in {"minWayAB_4", "minWayXY_4", "minPathAB_4"}


def test_inflections_are_other_forms_of_the_word() -> None:
    """All forms of a noun and of a verb, but for the one that is there."""
    assert inflections("sort") == ["sorted", "sorting", "sorts"]
    assert inflections("iscube") == []


def test_terms_have_no_synonyms() -> None:
    """With another word for `sort` the task would be another one."""
    assert "discover" in synonyms_of("find")
    assert synonyms_of("sort") == []


def test_without_lemminflect_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is a sentence, not a traceback."""
    monkeypatch.setitem(sys.modules, "lemminflect", None)

    with pytest.raises(MissingPackageError, match=r"pytest-qeval\[robustness\]"):
        inflections("sort")
