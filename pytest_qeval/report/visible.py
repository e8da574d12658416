"""Show text that a model, a data set or a user wrote so that it can neither hide nor move anything around it.

Completions are hostile until proven otherwise: terminal escapes, marks that turn the direction of text
(CVE-2021-42574), characters without width, NUL, half surrogates, a megabyte on a line. Escaping for HTML or Markdown
comes on top.
"""

from __future__ import annotations

import re

_CONTROL_PICTURES = 0x2400
"""Unicode's pictures of the control characters U+0000 to U+001F: ␀ ␛ and the like."""
_DELETE = 0x7F
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
"""Control and formatting characters but tab and line feed, and half surrogates."""


def visible(text: str) -> str:
    """Return a text with a picture (`␛`) or the code point in place of every character that is not seen."""
    return _HIDDEN.sub(lambda found: _picture(ord(found[0])), text)


def one_line(text: str, *, longest: int = 300) -> str:
    """Return a visible text on one line: blanks in place of line ends and tabs, and cut if it is longer."""
    return cut(" ".join(visible(text[: 4 * longest]).split()), longest=longest)


def cut(text: str, *, longest: int) -> str:
    """Return a text with an ellipsis where it is cut."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _picture(code: int) -> str:
    if code < 0x20:  # noqa: PLR2004 - the first printable character
        return chr(_CONTROL_PICTURES + code)
    return "␡" if code == _DELETE else f"\\u{code:04x}"
