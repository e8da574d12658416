"""A new name of the function is valid and free, and made of the old one."""

from __future__ import annotations

import builtins
import keyword
import random
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.perturb.base import Perturbation, perturb_problem
from pytest_qeval.perturb.code.function_names import other_style, substitute_words
from pytest_qeval.perturb.code.renaming import is_free
from tests.unit.perturb.builders import function_named, run_solution, source_of

_RANDOM = ("name_butter_fingers", "name_change_case", "name_inflection", "name_swap_characters", "name_synonym")
_NAMES = st.from_regex(r"\A[a-z][a-z]{0,6}(_[a-z]{1,6}|[A-Z][a-z]{1,5}){0,3}\Z").filter(
    lambda name: not keyword.iskeyword(name) and name not in dir(builtins)
)


@settings(deadline=None, max_examples=40)
@given(_NAMES, st.sampled_from(["name_camel_case", *_RANDOM]), st.integers(0, 9))
def test_a_new_name_is_valid_and_free(name: str, kind: str, seed: int) -> None:
    """No keyword, no builtin, no word of the problem; and the program still works."""
    perturbation: Perturbation = registry.load("perturbations", kind)
    before = function_named(name)
    after = perturb_problem(before, perturbation, seed)

    if after != before:
        assert is_free(after.entry_point, before)
        assert run_solution(after, 5) == 5
        assert not re.search(rf"\b{name}\(", source_of(after))


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
    new = substitute_words("minPathXY_4", random.Random(3), lambda word: words.get(word, []))  # noqa: S311 - no cryptography

    assert new in {"minWayAB_4", "minWayXY_4", "minPathAB_4"}


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("name_inflection", "sort_iscube", {"sorted_iscube", "sorting_iscube", "sorts_iscube"}),
        ("name_inflection", "iscube", {"iscube"}),
        ("name_synonym", "find_sort", {"discover_sort", "detect_sort"}),
        ("name_synonym", "sort", {"sort"}),
    ],
)
def test_words_take_other_forms_and_synonyms(kind: str, name: str, expected: set[str]) -> None:
    """All forms of a noun and of a verb; technical terms have no synonym, unknown words have no form."""
    pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    perturbation = registry.load("perturbations", kind)

    assert {perturb_problem(function_named(name), perturbation, seed).entry_point for seed in range(30)} == expected


def test_without_lemminflect_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lemminflect", None)

    with pytest.raises(MissingPackageError, match=r"pytest-qeval\[robustness\]"):
        perturb_problem(function_named("sort"), registry.load("perturbations", "name_inflection"), 0)
