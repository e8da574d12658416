"""How edits of prose are drawn and made: some by chance, one at least, none that makes another name or another task."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_qeval.perturb.docstring.prose import Prose, find_prose
from pytest_qeval.perturb.docstring.prose_marks import Stretch
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, TECHNICAL, WORD
from pytest_qeval.schema import Problem

__all__ = ["MEANING", "Edit", "Edits", "edit_docstring"]

MEANING = FUNCTION_WORDS | TECHNICAL
"""Words that a slip must not make out of others: `sum` of `sun` would be another task, not a slip."""


class Edit(NamedTuple):
    """A possible change: what may be put in place of a part of a span, and how likely."""

    start: int
    stop: int
    text: str
    probability: float


Edits = Callable[[str, Stretch, random.Random], Iterable[Edit]]
"""Lists the possible changes of one span of a prompt, in order, with places counted in the prompt."""


def edit_docstring(
    problem: Problem, rng: random.Random, *, edits: Edits, forbidden: Collection[str] = MEANING
) -> Problem:
    """Change a problem's prose by edits that are drawn independently, each with its own probability.

    If chance takes none, one is made nevertheless, for a question that is asked unchanged says nothing of robustness.
    An edit that would make a name or a `forbidden` word is not made.
    """
    prose = find_prose(problem.prompt, problem.entry_point)
    possible = [(span, list(edits(problem.prompt, span, rng))) for span in prose.spans]
    made: list[Edit] = []
    for span, all_of_span in possible:
        chosen = [edit for edit in all_of_span if rng.random() < edit.probability]
        made += _allowed(problem.prompt, span, chosen, prose, forbidden)
    if not made:
        single = [(span, edit) for span, all_of_span in possible for edit in all_of_span]
        tries = (_allowed(problem.prompt, span, [edit], prose, forbidden) for span, edit in _shuffled(single, rng))
        made = next(filter(None, tries), [])
    return replace(problem, prompt=_made(problem.prompt, made)) if made else problem


def _shuffled(single: Sequence[tuple[Stretch, Edit]], rng: random.Random) -> Sequence[tuple[Stretch, Edit]]:
    return rng.sample(single, len(single))


def _allowed(
    prompt: str, span: Stretch, chosen: Sequence[Edit], prose: Prose, forbidden: Collection[str]
) -> list[Edit]:
    """Keep, from the left, the edits that do not overlap and make no word that is taken."""
    known = _words(prompt[span.start : span.stop])
    allowed: list[Edit] = []
    for edit in chosen:
        if (allowed and edit.start < allowed[-1].stop) or prompt[edit.start : edit.stop] == edit.text:
            continue
        new = _words(_made(prompt, [*allowed, edit], span)) - known
        # A single letter would read as a variable.
        if not any(prose.is_name(word) or word in forbidden or len(word) == 1 for word in new):
            allowed.append(edit)
    return allowed


def _words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))


def _made(prompt: str, edits: Iterable[Edit], within: Stretch | None = None) -> str:
    start, stop = within or (0, len(prompt))
    parts: list[str] = []
    for edit in edits:
        parts += [prompt[start : edit.start], edit.text]
        start = edit.stop
    return "".join([*parts, prompt[start:stop]])
