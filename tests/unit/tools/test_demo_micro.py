"""The benchmark `micro`: well formed, solvable, and unknown to the model's training."""

import ast
import json
import re
from functools import lru_cache
from itertools import islice

import pytest
from demo_training import problems_lists, problems_mappings, problems_numbers, problems_texts
from demo_training.corpus import FAMILIES, documents
from demo_training.define import define
from demo_training.family import Family, body_expression, wording_expression
from demo_training.holdout import HELD_OUT_NAME_WORDS, is_held_out_constant
from demo_training.problem import MicroProblem
from demo_training.problems import problems, render
from tokenizers import Tokenizer

from pytest_qeval.benchmarks.micro import PATH
from pytest_qeval.demo import MODEL_DIR

PROBLEMS: list[dict[str, str]] = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]
KINDS = (problems_numbers, problems_lists, problems_texts, problems_mappings)
STRUCTURAL = {0, 1, 2, 3, 10, "", " ", "no", "aeiou"}
"""Literals that belong to a family's code and are never drawn, such as the 2 of `n % 2`."""

each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem["task_id"])


def _normal(prompt: str) -> str:
    """Return a docstring's sentence without its constants, case and the function's parameters."""
    signature, _, rest = prompt.partition(":\n")
    sentence = re.split(r">>>|\"\"\"|'''", re.sub(r"^\s*(\"\"\"|''')", "", rest))[0]
    for parameter in re.findall(r"[(,] ?(\w+)", signature):
        sentence = re.sub(rf"\b{parameter}\b", "PARAMETER", sentence)
    sentence = re.sub(r"'[^']*'|\d+", "CONSTANT", sentence)
    return " ".join(sentence.lower().split()).rstrip(".")


@lru_cache(maxsize=1)
def _bodies() -> list[tuple[Family, re.Pattern[str]]]:
    return [(family, body_expression(family.body)) for family in FAMILIES]


def _families_of(problem: MicroProblem) -> list[Family]:
    return [family for family, expression in _bodies() if expression.fullmatch(problem.solution)]


def _passes(problem: dict[str, str], source: str) -> bool:
    check = define(problem["test"], "check")
    try:
        check(define(source, problem["entry_point"]))
    except AssertionError:
        return False
    return True


def test_the_file_is_what_the_generator_writes() -> None:
    """The committed bytes are reproducible."""
    assert PATH.read_text(encoding="utf-8") == render()


def test_there_are_sixty_to_a_hundred_problems() -> None:
    """The benchmark stays small, but large enough to be counted."""
    assert 60 <= len(PROBLEMS) <= 100


def test_task_ids_count_from_zero() -> None:
    """Ids follow the order of the file."""
    assert [problem["task_id"] for problem in PROBLEMS] == [f"micro/{number}" for number in range(len(PROBLEMS))]


def test_problems_have_the_fields_of_humaneval() -> None:
    """Every line has the same five fields."""
    fields = {"task_id", "prompt", "entry_point", "canonical_solution", "test"}
    assert all(problem.keys() == fields for problem in PROBLEMS)


def test_the_first_ten_problems_are_a_mixture() -> None:
    """A run limited to ten problems meets every kind at least twice."""
    first = {problem.entry_point for problem in problems()[:10]}
    assert all(len(first & {problem.entry_point for problem in kind.PROBLEMS}) >= 2 for kind in KINDS)


def test_entry_points_are_unique() -> None:
    """A function name names one problem."""
    assert len({problem["entry_point"] for problem in PROBLEMS}) == len(PROBLEMS)


@each_problem
def test_a_test_has_at_least_four_asserts(problem: dict[str, str]) -> None:
    """A lucky constant does not pass."""
    assert problem["test"].count("    assert candidate(") >= 4


@each_problem
def test_the_canonical_solution_passes(problem: dict[str, str]) -> None:
    """Every problem is solvable."""
    assert _passes(problem, problem["prompt"] + problem["canonical_solution"])


@each_problem
def test_a_stub_fails(problem: dict[str, str]) -> None:
    """A function that returns nothing solves no problem."""
    assert not _passes(problem, problem["prompt"] + "    return None\n")


def test_every_name_starts_with_a_held_out_word() -> None:
    """Training names contain none of these words."""
    assert all(problem["entry_point"].split("_")[0] in HELD_OUT_NAME_WORDS for problem in PROBLEMS)


@each_problem
def test_every_constant_is_held_out(problem: dict[str, str]) -> None:
    """Constants that training draws never occur in a reference solution."""
    nodes = ast.walk(ast.parse(problem["prompt"] + problem["canonical_solution"]))
    docstring = ast.get_docstring(ast.parse(problem["prompt"]).body[0], clean=False)  # type: ignore[arg-type]
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)} - {docstring}
    drawn = {one for one in constants if isinstance(one, int | str)} - STRUCTURAL
    assert all(map(is_held_out_constant, drawn))


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem.entry_point)
def test_training_knows_the_code_but_not_the_wording(problem: MicroProblem) -> None:
    """A problem's families exist, and none of their wording patterns occurs in its docstring."""
    families = _families_of(problem)
    assert families
    for family in families:
        for pattern in (*family.nouns, *family.verbs):
            assert not wording_expression(pattern).search(problem.wording), pattern


def test_no_problem_occurs_in_a_large_sample_of_training() -> None:
    """Sentences differ even when names and constants are made equal."""
    sentences = {_normal(problem["prompt"]) for problem in PROBLEMS}
    assert len(sentences) > 80
    assert sentences.isdisjoint(_normal(made.prompt) for made in islice(documents(23), 6000))


def test_the_tokenizer_gives_texts_back_unchanged() -> None:
    """Encoding and decoding loses and adds nothing."""
    tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
    texts = [problem["prompt"] + problem["canonical_solution"] + problem["test"] for problem in PROBLEMS]
    texts += [made.source for made in islice(documents(29), 300)]
    texts += ["\ttabs\n\n\n  and   spaces  ", "naïve 漢字 🙂", "x=1+22;y ='a  b'\r\n"]
    assert [tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) for text in texts] == texts


def test_the_tokenizer_keeps_digits_apart() -> None:
    """Constants are copied digit by digit."""
    tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
    assert all(len(re.findall(r"\d", piece)) <= 1 for piece in tokenizer.get_vocab())
