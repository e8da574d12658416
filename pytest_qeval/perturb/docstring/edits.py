"""Apply edits of prose: each with its own probability, at least one, and none that makes another name or task."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_qeval.perturb.docstring.markup import Span
from pytest_qeval.perturb.docstring.prose import Prose, find_prose
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, TECHNICAL, WORD
from pytest_qeval.schema import Problem

INVARIANT = "Code, names, literals and examples keep every character, and the docstring's quotes stay where they are."
MEANING = FUNCTION_WORDS | TECHNICAL
"""Words that a typo must not make of others: `sum` instead of `sun` would be another task."""


class ProseEdit(NamedTuple):
    """A possible replacement of a part of a span, and its probability."""

    start: int
    stop: int
    text: str
    probability: float


FindEdits = Callable[[str, Span, random.Random], Iterable[ProseEdit]]
"""Return the possible edits of one span of a prompt, in order, with offsets in the prompt."""


def edit_docstring(
    problem: Problem, rng: random.Random, *, edits: FindEdits, forbidden: Collection[str] = MEANING
) -> Problem:
    """Change a problem's prose by edits that are drawn independently, each with its own probability.

    Where chance chooses none, one is made nevertheless: an unchanged prompt says nothing about robustness. An edit that
    would make a name or a `forbidden` word is not made.
    """
    prose = find_prose(problem.prompt, problem.entry_point)
    possible = [(span, list(edits(problem.prompt, span, rng))) for span in prose.spans]
    made: list[ProseEdit] = []
    for span, found in possible:
        chosen = [edit for edit in found if rng.random() < edit.probability]
        made += _keep_allowed(problem.prompt, span, chosen, prose, forbidden)
    if not made:
        single = [(span, edit) for span, found in possible for edit in found]
        shuffled = rng.sample(single, len(single))
        tries = (_keep_allowed(problem.prompt, span, [edit], prose, forbidden) for span, edit in shuffled)
        made = next(filter(None, tries), [])
    return replace(problem, prompt=_apply(problem.prompt, made)) if made else problem


def _keep_allowed(
    prompt: str, span: Span, chosen: Sequence[ProseEdit], prose: Prose, forbidden: Collection[str]
) -> list[ProseEdit]:
    """Keep, from the left, the edits that do not overlap and make no name and no forbidden word."""
    known = _words(prompt[span.start : span.stop])
    allowed: list[ProseEdit] = []
    for edit in chosen:
        if (allowed and edit.start < allowed[-1].stop) or prompt[edit.start : edit.stop] == edit.text:
            continue
        new = _words(_apply(prompt, [*allowed, edit], span)) - known
        # A single letter would read as a variable.
        if not any(word in prose.names or word in forbidden or len(word) == 1 for word in new):
            allowed.append(edit)
    return allowed


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))


def _apply(prompt: str, edits: Iterable[ProseEdit], within: Span | None = None) -> str:
    start, stop = within or (0, len(prompt))
    parts: list[str] = []
    for edit in edits:
        parts += [prompt[start : edit.start], edit.text]
        start = edit.stop
    return "".join([*parts, prompt[start:stop]])
