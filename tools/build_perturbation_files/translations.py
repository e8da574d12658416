"""Translate docstrings there and back with a pair of models, for the perturbation `back_translation`.

    PYTHONPATH=tools python -m build_perturbation_files.translations humaneval \
        Helsinki-NLP/opus-mt-en-de Helsinki-NLP/opus-mt-de-en DIR

Make the file once and keep it, so that all models get the same prompts. Only paragraphs of prose are translated; one
that loses a name or a value in translation stays as it is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from build_perturbation_files.command import Build, pretrained
from pytest_qeval.perturb.docstring.prose import find_docstring
from pytest_qeval.perturb.docstring.translation import TRANSLATIONS_FILE, fixed_values, passages
from pytest_qeval.schema import Json, Problem

Translator = Callable[[Sequence[str]], Sequence[str]]
"""Translate texts, in order."""

_WIDTH = 100
_NO_MORE_THAN = 256
"""Tokens of a translated paragraph."""


def hub_translator(model: str) -> Translator:
    """Load a translation model from the hub or a directory.

    Raises:
        MissingPackageError: without the package transformers.
        ModelSourceError: when there is no such model, or it is of another kind.
    """
    tokenizer, network = pretrained("AutoModelForSeq2SeqLM", model)

    def translate(texts: Sequence[str]) -> Sequence[str]:
        inputs = tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True)
        outputs = network.generate(**inputs, num_beams=2, do_sample=False, max_new_tokens=_NO_MORE_THAN)
        return [str(text) for text in tokenizer.batch_decode(outputs, skip_special_tokens=True)]

    return translate


def translated(problems: Iterable[Problem], there: Translator, back: Translator) -> Iterator[Json]:
    """Return a row of the file for each problem whose docstring changes in translation."""
    for problem in problems:
        docstring = _there_and_back(problem, there, back)
        if docstring is not None:
            yield {"task_id": problem.task_id, "docstring": docstring}


def _there_and_back(problem: Problem, there: Translator, back: Translator) -> str | None:
    docstring = find_docstring(problem.prompt, problem.entry_point)
    places = list(passages(problem, docstring)) if docstring else []
    if not docstring or not places:
        return None
    texts = [" ".join(docstring.text[start:stop].split()) for start, stop in places]
    text = docstring.text
    for (start, stop), old, new in reversed(list(zip(places, texts, back(there(texts)), strict=True))):
        # One more quote or backslash could close the docstring or begin an escape sequence.
        closes = any(new.count(mark) > old.count(mark) for mark in "\"'\\")
        if not closes and fixed_values(old, docstring) <= fixed_values(new, docstring):
            text = text[:start] + _wrapped(new, text, start) + text[stop:]
    return text if text.split() != docstring.text.split() else None


def _wrapped(new: str, text: str, start: int) -> str:
    """Break a paragraph into lines with the indentation of its first, in a docstring of several lines."""
    if "\n" not in text:
        return new
    line = text[text.rfind("\n", 0, start) + 1 : start]
    indent = "" if "\n" not in text[:start] else line
    below = " " * len(indent) if indent else _common_indent(text)
    return f"\n{below}".join(textwrap.wrap(new, _WIDTH - len(below), break_long_words=False, break_on_hyphens=False))


def _common_indent(text: str) -> str:
    lines = [line for line in text.split("\n")[1:] if line.strip()] or [text.rsplit("\n", maxsplit=1)[-1]]
    return min((line[: len(line) - len(line.lstrip())] for line in lines), key=len)


def _rows(problems: Iterable[Problem], models: Sequence[str]) -> Iterator[Json]:
    there, back = models
    return translated(problems, hub_translator(there), hub_translator(back))


main = Build(
    description=(__doc__ or "").partition("\n")[0],
    file=TRANSLATIONS_FILE,
    models={
        "there": "model from English into another language: hub id or directory",
        "back": "model from that language into English",
    },
    rows=_rows,
).main

if __name__ == "__main__":
    main()
