"""Find code in a chat completion that is written in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^`\n]*)$", re.MULTILINE)
_AT_MARGIN = re.compile(r"^(?:```|~~~)", re.MULTILINE)
_MAX_FENCES = 24
"""A model that repeats itself may write hundreds; the others are ignored."""


def is_fenced(completion: str) -> bool:
    """Return whether a completion is Markdown: it has a fence at the margin, and is no body of a function."""
    return not completion.lstrip("\r\n").startswith((" ", "\t")) and _AT_MARGIN.search(completion) is not None


def code_candidates(completion: str) -> Iterator[str]:
    """Yield the passages of a completion that may be its code, the likeliest first, without duplicates.

    Of several blocks the last is the likeliest: drafts come before their correction.

    A completion that begins inside a block, which the prefill has opened, has its code before the first fence. A fence
    inside a docstring looks like any other, so every block is tried up to each fence that may close it, and up to the
    end if none does.
    """
    fences = list(_FENCE.finditer(completion))[:_MAX_FENCES]
    # `~~~python` is a valid expression, so that such a completion may look like a program as it is
    found = [] if any(fence[2].startswith("~") for fence in fences) else [completion]
    found += [*reversed(code_blocks(completion)), completion[: fences[0].start()]] if fences else []
    for at, opening in enumerate(fences):
        ends = [fence.start() for fence in fences[at + 1 :] if _closes(fence, opening)]
        found += [_block(completion, opening, end) for end in (*ends, len(completion))]
    yield from (passage for passage in dict.fromkeys([*found, completion]) if passage.strip())


def code_blocks(completion: str) -> Sequence[str]:
    """Return the fenced blocks as Markdown reads them: each ends at the first fence that closes it."""
    blocks, opening = [], None
    for fence in _FENCE.finditer(completion):
        if opening is None:
            opening = fence
        elif _closes(fence, opening):
            blocks.append(_block(completion, opening, fence.start()))
            opening = None
    return blocks


def _closes(fence: re.Match[str], opening: re.Match[str]) -> bool:
    same = fence[2][0] == opening[2][0] and len(fence[2]) >= len(opening[2])
    return same and not fence[3].strip()


def _block(completion: str, opening: re.Match[str], end: int) -> str:
    """Return the code of a block; in a list it is indented like its fence."""
    code = completion[opening.end() + 1 : end]
    return re.sub(rf"^[ \t]{{1,{len(opening[1])}}}", "", code, flags=re.MULTILINE) if opening[1] else code
