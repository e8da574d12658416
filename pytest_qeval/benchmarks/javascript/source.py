"""Text that is JavaScript, as far as prompts and programs need to know it: no parser, Node.js decides what is valid."""

from __future__ import annotations

import re

from pytest_qeval.benchmarks.chat_marks import reply_of
from pytest_qeval.benchmarks.code_blocks import code_candidates

STOPS = ("\n}", "\nfunction", "\nclass", "\nmodule.", "\nexports.", "\nconsole.", "\n/**", "\n```")
"""Stop strings of the completion style.

The first is the end of the function, which `end_function` puts back; it is where mxeval cuts, too. The others end what
follows a function of one line. `const`, `let`, `if` and `//` at column 0 are missing on purpose: models write bodies
that are not indented, and comments in them.
"""
TASK = (
    "Complete the JavaScript function `{entry_point}` that is begun below. Answer with one block of JavaScript code "
    "that holds the whole function and every helper function it needs. Leave out tests, examples and explanations."
)
"""Instruction for chat models."""

_COMMENT = r"//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)"
_NO_CODE = re.compile(_COMMENT)
_TOKEN = re.compile(
    rf"{_COMMENT}"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`"  # strings
    r"|(?<=[(,=:;!&|?{])\s*/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/"  # regular expressions
    r"|[{}]",
    re.DOTALL,
)
_CLOSES_AT_ONCE = re.compile(r"\s*\}")


def is_blank(completion: str) -> bool:
    """Return whether a completion holds nothing but blanks, comments and the end of the function."""
    return not _NO_CODE.sub("", completion).strip(" \t\r\n}")


def end_function(completion: str) -> str:
    """Return what follows the prompt's open function, up to and with the brace that ends it.

    That brace is the first at column 0. Where there is none the function may have ended within a line; else the brace
    is added, since generation stops before it.
    """
    if _CLOSES_AT_ONCE.match(completion):
        return completion
    end = completion.find("\n}")
    if end >= 0:
        return f"{completion[:end]}\n}}\n"
    braces = _TOKEN.findall(completion)
    return completion if braces.count("}") > braces.count("{") else f"{completion.rstrip()}\n}}\n"


def extract_code(completion: str, *, entry_point: str) -> str:
    """Return the text that follows the prompt in the program of a chat completion.

    A block that defines the function follows after the prompt's own has been closed: of two definitions the last one
    counts. Without such a block the likeliest one is taken for the body.
    """
    reply = reply_of(completion) or ""
    passages = sorted(code_candidates(reply), key=lambda passage: "```" in passage)  # blocks before what holds them
    name = re.escape(entry_point)
    function = re.compile(rf"^[ \t]*(?:async[ \t]+)?function\b[ \t*]*{name}\b", re.MULTILINE)
    variable = re.compile(rf"^[ \t]*(?:const|let|var)[ \t]+(?={name}[ \t]*=)", re.MULTILINE)
    for passage in passages:
        code = re.sub(r"^export[ \t]+(?:default[ \t]+)?", "", passage, flags=re.MULTILINE)
        if function.search(code) or variable.search(code):
            # The prompt's function has declared the name, so that `const` would declare it again.
            return f"}}\n{variable.sub('', code).rstrip()}\n"
    return end_function(passages[0]) if passages else ""
