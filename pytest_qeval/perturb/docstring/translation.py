"""The perturbation of whole sentences: docstrings that went into another language and back, read from a file.

`back_translation.jsonl` has one object a line, with the `task_id` and either the `docstring`, as it is to stand between
the quotes, or the whole `prompt`. Any translator may have made it; `translation_build` makes it with a pair of models.
The perturbation is not in the registry, for it is none without that file: `back_translation(read_translations(data))`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.base import Perturbation
from pytest_qeval.perturb.docstring.prose import Docstring, find_docstring, find_prose
from pytest_qeval.perturb.docstring.prose_lines import paragraphs
from pytest_qeval.perturb.docstring.prose_marks import Stretch
from pytest_qeval.perturb.task_rows import TaskRow, read_rows
from pytest_qeval.schema import Problem

__all__ = ["FILE", "Translation", "back_translation", "fixed_values", "passages", "read_translations"]

FILE = "back_translation.jsonl"

_VALUES = re.compile(r"\d+(?:\.\d+)?|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|\b(?:None|True|False)\b|\w*_\w*")


class Translation(TaskRow, frozen=True):
    """A line of the file: one of the two."""

    docstring: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Refuse none and both; msgspec puts where it stands in front."""
        if (self.docstring is None) == (self.prompt is None):
            raise ValueError("one of docstring and prompt has to be there")


def read_translations(data: Path) -> Mapping[str, Translation]:
    """Read the file from a data directory; by task id.

    Raises:
        DataError: when it is missing or a line is none of the above.
    """
    path = data / FILE
    if not path.is_file():
        raise DataError(f"there is no {FILE} in {data}: write one with python -m build_perturbation_files.translations")
    return read_rows(path, Translation)


def back_translation(translations: Mapping[str, Translation]) -> Perturbation:
    """Make the perturbation from what was read.

    A translation that loses code, an example, a name or a value, or that does not close its quotes, is not taken: that
    problem stays as it is, and is counted so.
    """
    return Perturbation(
        name="back_translation",
        category="docstring",
        level="sentence",
        summary=f"the docstring's sentences were translated into another language and back ({FILE})",
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
    if prompt is None or not new or prompt != f"{before}{new.text}{after}" or not _keeps(problem, old, new):
        return problem
    return replace(problem, prompt=prompt)


def passages(problem: Problem, docstring: Docstring) -> Iterator[Stretch]:
    """Return the paragraphs of a docstring that hold prose, each whole, counted in the docstring."""
    spans = find_prose(problem.prompt, problem.entry_point).spans
    for lines in paragraphs(docstring.text, problem.entry_point):
        first = lines[0].text[lines[0].bullet :]
        start = lines[0].start + lines[0].bullet + len(first) - len(first.lstrip())
        passage = Stretch(start, lines[-1].start + len(lines[-1].text.rstrip()))
        if any(passage.meets(Stretch(start - docstring.start, stop - docstring.start)) for start, stop in spans):
            yield passage


def fixed_values(text: str, docstring: Docstring) -> Counter[str]:
    """Count what a translation has to mention again: numbers, quoted texts, constants and names of the code.

    A parameter called `a` is not asked for, since it cannot be told from an article.
    """
    names = [word for word in re.findall(r"\w+", text) if word in docstring.code_names and word.lower() != "a"]
    return Counter([*_VALUES.findall(text), *dict.fromkeys(names)])


def _keeps(problem: Problem, old: Docstring, new: Docstring) -> bool:
    fixed, last = "", 0
    for start, stop in passages(problem, old):
        fixed, last = f"{fixed}{old.text[last:start]}\n", stop
    fixed += old.text[last:]
    rest = iter([line.strip() for line in new.text.split("\n")])
    lines = (line.strip() for line in fixed.split("\n"))
    examples_stay = all(line in rest for line in lines if len(line) > 1)
    return examples_stay and fixed_values(old.text, old) <= fixed_values(new.text, old)
