"""The command that translates docstrings there and back, with models that replace words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from build_perturbation_files.translations import hub_translator, main, translated

from pytest_qeval import registry
from pytest_qeval.errors import MissingPackageError
from pytest_qeval.perturb.base import perturb_problem
from pytest_qeval.perturb.docstring.translation import Translation, back_translation, read_translations
from pytest_qeval.schema import Problem

PROMPT = '''import math


def f(items, n):
    """Return the n largest of items, but 2 at least,
    or "none" if there are too few.

    >>> f([1], 1)
    "none"
    """
'''
PROBLEM = Problem(
    benchmark="b", task_id="b/0", prompt=PROMPT, entry_point="f", test="", canonical_solution="    return 1\n"
)


def shout(texts: Sequence[str]) -> Sequence[str]:
    """Translate into another language, in which n and items are the same."""
    return [text.replace("largest", "GROSSTEN") for text in texts]


def whisper(texts: Sequence[str]) -> Sequence[str]:
    """Translate back."""
    return [text.replace("GROSSTEN", "biggest").replace("too few", "too little of these") for text in texts]


def test_a_docstring_is_translated_by_paragraphs() -> None:
    """Prose is translated there and back; examples and indentation stay; the row is valid."""
    (row,) = translated([PROBLEM], shout, whisper)
    rows = {"b/0": Translation(task_id="b/0", docstring=row["docstring"])}
    found = perturb_problem(PROBLEM, back_translation(rows), 0).prompt

    assert found == PROMPT.replace(
        'largest of items, but 2 at least,\n    or "none" if there are too few.',
        'biggest of items, but 2 at least, or "none" if there are too little of these.',
    )


@pytest.mark.parametrize("lost", ["items", "2", '"none"'])
def test_a_paragraph_that_loses_a_value_stays(lost: str) -> None:
    """Without another paragraph there is no row to write."""
    assert list(translated([PROBLEM], shout, lambda texts: [text.replace(lost, "") for text in whisper(texts)])) == []


def test_no_translation_closes_the_docstring() -> None:
    """A paragraph that gains quotes or backslashes stays."""
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
    """The command loads both and translates a benchmark; its rows can be used."""
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
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'pytest-qeval\[transformers\]'"):
        hub_translator("there")
