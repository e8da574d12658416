"""Which perturbations can be asked, by which words, and what is said of those that cannot."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval import registry
from pytest_qeval.errors import DataError, UnknownNameError, UsageError
from pytest_qeval.perturb.base import Perturbation, perturb_problem, seeds_of
from pytest_qeval.perturb.catalogue import Catalogue, own_perturbations
from pytest_qeval.perturb.code.proposed_names import FILE as NAMES
from pytest_qeval.perturb.docstring.translation import FILE
from pytest_qeval.perturb.perturbed_problems import perturb_problems
from pytest_qeval.perturb.selection import FULL, SCREENED, select
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import problem


def marked(asked: Problem, rng: random.Random) -> Problem:
    """Put a random comment above everything."""
    return replace(asked, prompt=f"# {rng.random()}\n{asked.prompt}")


MINE = Perturbation(
    name="mine", category="format", level="format", summary="a comment on top", invariant="Code.", apply=marked
)
OWN = Catalogue(own={"mine": MINE})


def names(*words: str, catalogue: Catalogue = OWN) -> list[str]:
    """Return the names that words mean."""
    return [one.name for one in select(words, catalogue)]


def test_a_project_s_own_is_found_by_name_category_level_and_set() -> None:
    """It is one of them, but not of the fixed set `screen`."""
    assert names("mine") == ["mine"]
    assert "mine" in names("format")
    assert "mine" not in names("docstring")
    assert set(names(FULL)) == {*registry.names("perturbations"), "mine"}
    assert names() == list(SCREENED)


def test_each_is_asked_once() -> None:
    assert names("mine", "tab_indent", "mine") == ["mine", "tab_indent"]


def test_an_unknown_name_tells_all_there_are() -> None:
    """With the nearest one first."""
    with pytest.raises(
        UnknownNameError, match=r"Did you mean 'tab_indent'.*mine, back_translation, rename_variable_model, recode"
    ):
        names("tab_indnt")


@pytest.mark.parametrize("word", ["recode", "recode:SynonymInsertion", "back_translation", "rename_variable_model"])
def test_what_needs_a_file_says_where_it_is_looked_for(word: str, tmp_path: Path) -> None:
    """No folder is one sentence, a folder without the file another."""
    with pytest.raises(UsageError, match=rf"'{word}' is read from a file: name its folder with --qeval-data"):
        names(word)
    with pytest.raises(DataError, match=str(tmp_path)):
        names(word, catalogue=Catalogue(data=tmp_path))


def test_files_become_perturbations(tmp_path: Path) -> None:
    """`recode` is all of its files."""
    row = {"task_id": "HumanEval/0", "prompt": "", "entry_point": "f", "canonical_solution": ""}
    for name in ("ChangeCharCase_s0", "ChangeCharCase_s1", "new_lines_s0"):
        tmp_path.joinpath(f"humaneval_{name}.jsonl").write_text(json.dumps(row), encoding="utf-8")
    tmp_path.joinpath(FILE).write_text('{"task_id": "made up/0", "docstring": "Reply.\\n"}', encoding="utf-8")
    proposal = {"task_id": "made up/0", "variable": "x", "names": ["y"]}
    tmp_path.joinpath(NAMES).write_text(json.dumps(proposal), encoding="utf-8")
    catalogue = Catalogue(data=tmp_path)

    assert names("recode", catalogue=catalogue) == ["recode:ChangeCharCase", "recode:new_lines"]
    wanted = ["recode:new_lines", "back_translation", "rename_variable_model"]
    assert names(*wanted, catalogue=catalogue) == wanted


def wrong(**fields: Any) -> Perturbation:
    """Make one that types would not allow, but a user may."""
    return replace(MINE, **fields)


BROKEN: dict[str, tuple[object, str]] = {
    "no list": (MINE, "expected a list of pytest_qeval.perturb.base.Perturbation"),
    "another thing": ([marked], "expected a list of pytest_qeval.perturb.base.Perturbation"),
    "registered": ([wrong(name="tab_indent")], "'tab_indent': the name has a meaning already"),
    "of a file": ([wrong(name="recode")], "'recode': the name has a meaning already"),
    "a set": ([wrong(name="full")], "'full': the name has a meaning already"),
    "a category": ([wrong(name="syntax")], "'syntax': the name has a meaning already"),
    "no name": ([wrong(name="my own")], "'my own': a name is letters, digits and underscores"),
    "twice": ([MINE, MINE], "'mine': two have that name"),
    "no category": ([wrong(category="prose")], "'mine': the category is one of docstring, function name"),
    "no level": ([wrong(level="line")], "'mine': the level is one of character, word"),
    "no form": ([wrong(form="third")], "'mine': the form is full or half, not third"),
    "no function": ([wrong(apply=None)], "'mine': apply is no function"),
}


@pytest.mark.parametrize(("answer", "sentence"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_a_perturbation_is_refused(answer: object, sentence: str) -> None:
    with pytest.raises(UsageError, match="pytest_qeval_perturbations") as told:
        own_perturbations([answer])

    assert sentence in str(told.value)


def test_every_conftest_is_asked() -> None:
    """The hook gives one list for each of them."""
    assert list(own_perturbations([[MINE], (), [replace(MINE, name="yours")]])) == ["mine", "yours"]


def test_an_entry_point_that_leads_elsewhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(name="odd", value="json:dumps", group="pytest_qeval.perturbations")
    monkeypatch.setattr(registry, "_entries", lambda _kind: [entry])
    with pytest.raises(UsageError, match=r"entry point 'odd' of pytest_qeval\.perturbations leads to function"):
        Catalogue().load("odd")


def _of_another(asked: Problem, _rng: random.Random) -> Problem:
    return replace(asked, task_id="made up/1")


@pytest.mark.parametrize(
    ("apply", "told"),
    [
        (lambda _asked, _rng: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda _asked, _rng: None, "AttributeError"),
        (_of_another, "it gave the problem made up/1 back"),
    ],
    ids=["raises", "gives nothing", "another problem"],
)
def test_one_that_fails_is_told_with_the_problem(apply: Any, told: str) -> None:
    """In one sentence, for it is the user's to mend."""
    with pytest.raises(DataError, match=r"the perturbation 'mine' failed on made up/0-mine-s0") as error:
        perturb_problems([problem("m = n\n", "return m\n")], [replace(MINE, apply=apply)], seeds=None)

    assert told in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("def old_name(n):", "def old_name(n)", "do not compile"),
        ("def old_name(n):", "def old_name(n, more=0):", "the parameters are (n, more) instead of (n)"),
        ("def old_name(n):", "def new_name(n):", "do not define 'old_name'"),
    ],
)
def test_one_that_breaks_the_question_is_counted(old: str, new: str, reason: str) -> None:
    """Its questions are invalid, and nobody is asked."""
    broken = replace(MINE, apply=lambda asked, _rng: replace(asked, prompt=asked.prompt.replace(old, new)))
    made = perturb_problems([problem("m = n\n", "return m\n")], [broken], seeds=None)

    assert (made.of["mine"].applied, made.of["mine"].invalid, dict(made.problems)) == (0, 1, {})
    assert reason in made.of["mine"].reasons["made up/0-mine-s0"]


def test_chance_is_the_seed_s() -> None:
    """The same for the same seed, another for another: nothing else counts."""
    asked = problem("m = n\n", "return m\n")
    prompts = [perturb_problem(asked, MINE, seed).prompt for seed in (0, 0, 1)]

    assert prompts[0] == prompts[1] != prompts[2]


@given(made=st.sets(st.integers(0, 50), min_size=1), wanted=st.none() | st.integers(1, 60))
def test_versions_are_asked_in_the_order_of_their_seeds(made: set[int], wanted: int | None) -> None:
    """So many of them, all without a number; and each seed gives its own version."""

    def version(seed: int) -> Perturbation:
        return replace(MINE, apply=lambda asked, _rng: replace(asked, prompt=f"# {seed}\n{asked.prompt}"))

    one = replace(MINE, versions={seed: version(seed).apply for seed in made})
    seeds = seeds_of(one, wanted)

    assert list(seeds) == sorted(made)[: wanted or len(made)]
    assert [perturb_problem(problem("m = n\n"), one, seed).prompt.split("\n")[0] for seed in seeds] == [
        f"# {seed}" for seed in seeds
    ]


@given(wanted=st.integers(1, 60))
def test_others_are_asked_from_the_first_seed_on(wanted: int) -> None:
    """Once where no number is given, or there is no choice to make."""
    assert list(seeds_of(MINE, wanted)) == list(range(wanted))
    assert list(seeds_of(MINE, None)) == list(seeds_of(replace(MINE, random=False), wanted)) == [0]
