"""Perturbation of whole sentences: docstrings translated into another language and back, read from a file.

`back_translation.jsonl` has one object a line, with the `task_id` and either the `docstring`, as it is to stand between
the quotes, or the whole `prompt`. Without the file there is no such perturbation, so it is not in the registry.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.markup import Span, paragraphs
from pytest_qeval.perturb.docstring.prose import Docstring, find_docstring, find_prose
from pytest_qeval.perturb.task_rows import TaskRow, find_file, read_rows
from pytest_qeval.schema import Problem

TRANSLATIONS_FILE = "back_translation.jsonl"
_VALUES = re.compile(r"\d+(?:\.\d+)?|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|\b(?:None|True|False)\b|\w*_\w*")


class Translation(TaskRow, frozen=True):
    """A row of the file, with either field."""

    docstring: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Refuse neither and both; msgspec adds where the row stands."""
        if (self.docstring is None) == (self.prompt is None):
            raise ValueError("one of docstring and prompt has to be there")


def read_translations(data: Path) -> Mapping[str, Translation]:
    """Read `back_translation.jsonl` from a data directory, by task id.

    Raises:
        DataError: when it is missing, or a line is no such row.
    """
    return read_rows(find_file(data, TRANSLATIONS_FILE), Translation)


def back_translation(translations: Mapping[str, Translation]) -> Perturbation:
    """Make the perturbation from the rows of the file.

    A translation that loses code, an example, a name or a value, or does not close its quotes, is ignored: the problem
    counts as unchanged.
    """
    return Perturbation(
        name="back_translation",
        category="docstring",
        level="sentence",
        summary=f"the docstring's sentences were translated into another language and back ({TRANSLATIONS_FILE})",
        invariant="Code and examples keep every line, and each name and value is still mentioned.",
        apply=partial(_apply, translations=translations),
        random=False,
    )


def _apply(problem: Problem, _rng: random.Random, *, translations: Mapping[str, Translation]) -> Problem:
    translation = translations.get(problem.task_id)
    old = find_docstring(problem.prompt, problem.entry_point)
    if not translation or not old:
        return problem
    before, after = problem.prompt[: old.start], problem.prompt[old.start + len(old.text) :]
    prompt = translation.prompt if translation.docstring is None else f"{before}{translation.docstring}{after}"
    new = find_docstring(prompt or "", problem.entry_point)
    if prompt is None or not new or prompt != f"{before}{new.text}{after}" or not _keeps_facts(problem, old, new):
        return problem
    return replace(problem, prompt=prompt)


def passages(problem: Problem, docstring: Docstring) -> Iterator[Span]:
    """Return the paragraphs of a docstring that hold prose, each whole, with offsets in the docstring."""
    spans = find_prose(problem.prompt, problem.entry_point).spans
    for lines in paragraphs(docstring.text, problem.entry_point):
        first = lines[0].text[lines[0].bullet :]
        start = lines[0].start + lines[0].bullet + len(first) - len(first.lstrip())
        passage = Span(start, lines[-1].start + len(lines[-1].text.rstrip()))
        if any(passage.overlaps(Span(start - docstring.start, stop - docstring.start)) for start, stop in spans):
            yield passage


def fixed_values(text: str, docstring: Docstring) -> Counter[str]:
    """Count what a translation has to mention again: numbers, quoted texts, constants and names of the code.

    A parameter called `a` does not count, since it looks like an article.
    """
    names = [word for word in re.findall(r"\w+", text) if word in docstring.code_names and word.lower() != "a"]
    return Counter([*_VALUES.findall(text), *dict.fromkeys(names)])


def _keeps_facts(problem: Problem, old: Docstring, new: Docstring) -> bool:
    """Return whether the lines outside prose are all there, in order, and every fixed value is."""
    fixed, last = "", 0
    for start, stop in passages(problem, old):
        fixed, last = f"{fixed}{old.text[last:start]}\n", stop
    fixed += old.text[last:]
    rest = iter([line.strip() for line in new.text.split("\n")])
    lines = (line.strip() for line in fixed.split("\n"))
    examples_stay = all(line in rest for line in lines if len(line) > 1)
    return examples_stay and fixed_values(old.text, old) <= fixed_values(new.text, old)
