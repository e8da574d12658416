"""Remove the docstring of a function, so that the prompt does not contain the reference.

Tokens are enough to find a docstring, and they can be read from code that no current parser accepts, such as Python 2.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator

_BETWEEN = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.COMMENT)
_OPENING, _CLOSING = "([{", ")]}"


def remove_docstring(code: str) -> str:
    """Return a function without its docstring and the blank lines after it.

    Args:
        code: One function, not indented; decorators may precede it. Without a docstring it is returned unchanged.

    Raises:
        ValueError: when the tokens up to the docstring cannot be read.
    """
    try:
        strings = list(_docstring(tokenize.generate_tokens(io.StringIO(code).readline)))
    except (tokenize.TokenError, SyntaxError) as error:  # IndentationError is a SyntaxError
        raise ValueError(f"its tokens cannot be read: {error}") from error
    if not strings:
        return code
    lines = code.split("\n")  # not splitlines: a form feed ends no line
    (first, start), (last, end) = strings[0].start, strings[-1].end
    before, after = lines[first - 1][:start], lines[last - 1][end:].lstrip()
    rest = lines[last:]
    if after.startswith(";"):
        return "\n".join([*lines[: first - 1], before + after[1:].lstrip(), *rest])
    while rest and not rest[0].strip() and any(line.strip() for line in rest):
        rest = rest[1:]
    return "\n".join([*lines[: first - 1], *([before.rstrip()] if before.strip() else []), *rest])


def _docstring(tokens: Iterator[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """Yield the string tokens of the first statement after the function's colon, if it consists of strings only."""
    depth, defined = 0, False
    for token in tokens:
        defined = defined or (token.type == tokenize.NAME and token.string == "def")
        if token.type == tokenize.OP:
            depth += (token.string in _OPENING) - (token.string in _CLOSING)
            if defined and depth == 0 and token.string == ":":
                break
    found: list[tokenize.TokenInfo] = []
    for token in tokens:
        if _is_part(token):
            found.append(token)
        elif found or token.type not in _BETWEEN:
            if token.type in {tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER} or token.string == ";":
                yield from found
            return


def _is_part(token: tokenize.TokenInfo) -> bool:
    """Return whether a token is an unformatted string, or the prefix `ur`, which only Python 2 has."""
    if token.type == tokenize.NAME:
        return token.string.lower() == "ur"
    return token.type == tokenize.STRING and "f" not in token.string.partition(token.string[-1])[0].lower()
