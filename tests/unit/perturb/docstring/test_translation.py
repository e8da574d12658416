"""Docstrings that were translated there and back: read from a file, taken only where they keep what they must."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from build_perturbation_files.translations import hub_translator, main, translated

from pytest_qeval import registry
from pytest_qeval.errors import DataError, MissingPackageError
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.docstring.translation import FILE, Translation, back_translation, read_translations
from pytest_qeval.perturb.task_rows import read_rows
from pytest_qeval.schema import Problem

_DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[4].parent / "shared" / "data"))

PROMPT = '''import math


def f(items, n):
    """Return the n largest of items, but 2 at least,
    or "none" if there are too few.

    >>> f([1], 1)
    "none"
    """
'''
GOOD = PROMPT.replace(
    "Return the n largest of items, but 2 at least,", "Give back the n biggest of items, not below 2,"
)
PROBLEM = Problem(
    benchmark="b", task_id="b/0", prompt=PROMPT, entry_point="f", test="", canonical_solution="    return 1\n"
)


def ask(translation: Translation) -> str:
    return perturb_problem(PROBLEM, back_translation({"b/0": translation}), 0).prompt


def test_a_prompt_or_a_docstring_is_taken() -> None:
    """Both kinds of rows lead to the same question."""
    docstring = GOOD.split('"""', 1)[1].rsplit('"""', 1)[0]

    assert ask(Translation(task_id="b/0", prompt=GOOD)) == GOOD
    assert ask(Translation(task_id="b/0", docstring=docstring)) == GOOD


@pytest.mark.parametrize(
    "prompt",
    [
        GOOD.replace('    """\n', '    " " "\n'),
        GOOD.replace("import math", "import maths"),
        GOOD.replace("def f(items, n)", "def f(items, m)"),
        GOOD.replace(">>> f([1], 1)", ">>> f ([1], 1)"),
        GOOD.replace('\n    "none"\n', '\n    "nothing"\n'),
        GOOD.replace("below 2", "below two"),
        GOOD.replace("of items", "of things"),
        GOOD.replace('or "none"', "or nothing"),
    ],
    ids=["quotes", "import", "parameter", "example", "output", "number", "name", "quoted"],
)
def test_a_translation_that_loses_something_is_not_taken(prompt: str) -> None:
    """Then the problem stays as it is, and is counted as unchanged."""
    assert prompt != GOOD
    assert ask(Translation(task_id="b/0", prompt=prompt)) == PROMPT


def test_other_problems_stay() -> None:
    """A file need not hold every problem."""
    assert perturb_problem(PROBLEM, back_translation({}), 0) is PROBLEM


def test_the_file_is_read(tmp_path: Path) -> None:
    """One object a line; further fields, as ReCode's files have, do no harm."""
    rows = [{"task_id": "a/1", "docstring": "x"}, {"task_id": "a/2", "prompt": "y", "test": "z", "seed": 0}]
    tmp_path.joinpath(FILE).write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")

    assert read_translations(tmp_path) == {
        "a/1": Translation(task_id="a/1", docstring="x"),
        "a/2": Translation(task_id="a/2", prompt="y"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, f"there is no {FILE} in .*: write one with python -m"),
        ("{", r"line 1: Input data was truncated\. Expected an object with task_id, docstring, prompt\."),
        ("[]", "line 1: Expected `object`, got `array`"),
        ('{"task_id": "a"}', "line 1: one of docstring and prompt has to be there"),
        ('{"task_id": "a", "prompt": "p", "docstring": "d"}', "line 1: one of docstring and prompt"),
        ('{"task_id": "a", "prompt": 1}', "line 1: Expected `str"),
        ('{"task_id": "a", "prompt": "\udcff"}', "line 1: "),
    ],
)
def test_a_bad_file_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    """With its path, the line, and what was expected."""
    if text is not None:
        tmp_path.joinpath(FILE).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        read_translations(tmp_path)


def test_recodes_broken_rows_are_not_taken() -> None:
    """ReCode's file leaves 28 docstrings of HumanEval open; what is taken has its docstring closed and its examples."""
    path = _DATA / "recode" / "humaneval_s0" / "nlaugmenter" / "humaneval_BackTranslation_s0.jsonl.gz"
    if not path.is_file():
        pytest.skip("ReCode's data are not part of this project: let QEVAL_TEST_DATA name a folder with recode/")
    perturbation = back_translation(read_rows(path, Translation))
    problems = registry.load("benchmarks", "humaneval").load(None).problems.values()
    taken = [found for problem in problems if (found := perturb_problem(problem, perturbation, 0)) != problem]

    assert len(taken) > 0
    for problem in taken:
        compile(problem.prompt + problem.canonical_solution, problem.task_id, "exec")


def shout(texts: Sequence[str]) -> Sequence[str]:
    """Translate into another language, in which n and items are the same."""
    return [text.replace("largest", "GROSSTEN") for text in texts]


def whisper(texts: Sequence[str]) -> Sequence[str]:
    """Translate back."""
    return [text.replace("GROSSTEN", "biggest").replace("too few", "too little of these") for text in texts]


def test_a_docstring_is_translated_by_paragraphs() -> None:
    """Prose goes there and back; examples and indentation stay; the row is one that is taken."""
    (row,) = translated([PROBLEM], shout, whisper)
    found = ask(Translation(task_id="b/0", docstring=row["docstring"]))

    assert found == PROMPT.replace(
        'largest of items, but 2 at least,\n    or "none" if there are too few.',
        'biggest of items, but 2 at least, or "none" if there are too little of these.',
    )


@pytest.mark.parametrize("lost", ["items", "2", '"none"'])
def test_what_loses_a_value_is_left_as_it_was(lost: str) -> None:
    """Then there is nothing to write."""
    assert list(translated([PROBLEM], shout, lambda texts: [text.replace(lost, "") for text in whisper(texts)])) == []


def test_no_translation_closes_the_docstring() -> None:
    """Quotes or backslashes that come up in translation are refused."""
    assert list(translated([PROBLEM], shout, lambda texts: [f'{text} """' for text in texts])) == []
    assert list(translated([PROBLEM], shout, lambda texts: [f"{text} \\" for text in texts])) == []


class FakeTokenizer:
    def __call__(self, texts: list[str], **options: object) -> dict[str, list[str]]:
        assert options == {"return_tensors": "pt", "padding": True, "truncation": True}
        return {"input_ids": texts}

    def batch_decode(self, outputs: list[str], *, skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return outputs


class FakeNetwork:
    def __init__(self, model: str) -> None:
        self.translate = {"there": shout, "back": whisper}[model]

    def eval(self) -> FakeNetwork:
        return self

    def generate(self, *, input_ids: list[str], do_sample: bool, **_options: object) -> Sequence[str]:
        assert not do_sample
        return self.translate(input_ids)


def test_a_pair_of_models_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command loads both, translates a benchmark, and what it writes can be read and used."""
    fake = SimpleNamespace(
        AutoTokenizer=SimpleNamespace(from_pretrained=lambda _model: FakeTokenizer()),
        AutoModelForSeq2SeqLM=SimpleNamespace(from_pretrained=FakeNetwork),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    main(["humaneval", "there", "back", str(tmp_path)])
    perturbation = back_translation(read_translations(tmp_path))
    problems = registry.load("benchmarks", "humaneval").load(None).problems
    changed = {name for name, problem in problems.items() if perturb_problem(problem, perturbation, 0) != problem}

    assert changed == read_translations(tmp_path).keys()
    assert "HumanEval/24" in changed  # "find the largest number that divides n evenly"
    assert all("biggest" in perturb_problem(problems[name], perturbation, 0).prompt for name in changed)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever translates without the package is told what to install."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'pytest-qeval\[transformers\]'"):
        hub_translator("there")
