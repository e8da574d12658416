"""Where code may stand in an answer that is written in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["code_blocks", "fence_for", "passages"]

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^`\n]*)$", re.MULTILINE)
_MOST_FENCES = 24
"""Looked at; a model that repeats itself may write hundreds."""


def fence_for(code: str) -> str:
    """Return a fence of backticks that no line of the code can close."""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    return "`" * max(3, longest + 1)


def passages(answer: str) -> Iterator[str]:
    """Yield what may be the code of an answer, the likeliest first, without doubles.

    An answer that begins inside a block, because the prompt has opened it, has its code before the first fence. A fence
    inside a docstring looks like any other: so every block is tried up to each fence that might close it, and one that
    is never closed up to the end.
    """
    fences = list(_FENCE.finditer(answer))[:_MOST_FENCES]
    # `~~~python` happens to be an expression, so that such an answer might be taken for a program as it stands
    found = [] if any(fence[2].startswith("~") for fence in fences) else [answer]
    found += [answer[: fences[0].start()], *code_blocks(answer)] if fences else []
    for at, opening in enumerate(fences):
        ends = [fence.start() for fence in fences[at + 1 :] if _closes(fence, opening)]
        found += [_inside(answer, opening, end) for end in (*ends, len(answer))]
    yield from (passage for passage in dict.fromkeys([*found, answer]) if passage.strip())


def code_blocks(answer: str) -> Sequence[str]:
    """Return the fenced blocks as Markdown reads them: each ends at the first fence that closes it."""
    blocks, opening = [], None
    for fence in _FENCE.finditer(answer):
        if opening is None:
            opening = fence
        elif _closes(fence, opening):
            blocks.append(_inside(answer, opening, fence.start()))
            opening = None
    return blocks


def _closes(fence: re.Match[str], opening: re.Match[str]) -> bool:
    same = fence[2][0] == opening[2][0] and len(fence[2]) >= len(opening[2])
    return same and not fence[3].strip()


def _inside(answer: str, opening: re.Match[str], end: int) -> str:
    """Take a block out of an answer; one that stands in a list is indented as its fence is."""
    code = answer[opening.end() + 1 : end]
    return re.sub(rf"^[ \t]{{1,{len(opening[1])}}}", "", code, flags=re.MULTILINE) if opening[1] else code
