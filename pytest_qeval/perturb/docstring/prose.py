"""Where the natural language in a prompt's docstring is: the only place that docstring perturbations may touch.

Code, names, literals, examples, quotes and escape sequences are never part of it. When in doubt a word is not prose:
a sentence that is left alone weakens a perturbation, a changed name or example changes the task.
"""

from __future__ import annotations

import ast
import builtins
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_qeval.perturb.docstring.prose_lines import Line, paragraphs
from pytest_qeval.perturb.docstring.prose_marks import Stretch, marked, names_in
from pytest_qeval.perturb.docstring.words import listed

__all__ = ["Docstring", "Prose", "find_docstring", "find_prose"]

_LITERAL = re.compile(r"([rRuU]?)(\"\"\"|'''|\"|')(.*)\2", re.DOTALL)
_CHUNK = re.compile(r"\S+")
_WORD = re.compile(r"\(?([A-Za-z]+(?:['-][A-Za-z]+)*)(?:[.,;:!?]|\)?[.,;:!?)]+)?")
_SENTENCE_ENDS = re.compile(r"[.!?:]['\")\]]*$")
_BLANKS = re.compile(r"[,;]? +")
_APOSTROPHES = frozenset({"d", "ll", "m", "re", "s", "t", "ve"})
_VOWEL = re.compile("[aeiouyAEIOUY]")
"""Without one it is no word: `lst`, and "nth" of a variable."""
_TYPES = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower())
_ENGLISH_TYPES = frozenset(
    {"filter", "map", "object", "property", "range", "reversed", "slice", "super", "type", "zip"}
)
_RESERVED = listed("async await def del elif false inf lambda nan none nonlocal null true")
"""Literals, and the keywords that are no words of English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """What stands between a docstring's quotes."""

    start: int
    """Its place in the prompt."""
    text: str
    """As the source writes it, with escape sequences."""
    code_names: frozenset[str]
    """All names that the prompt's code uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """The prose of a docstring."""

    spans: Sequence[Stretch]
    """In the prompt, in order; each is plain words with blanks, commas and semicolons between them, on one line."""
    names: frozenset[str]
    """In lower case: what is used as a name, types and literals; no changed word may be one of them."""

    def is_name(self, word: str) -> bool:
        """Return whether a word reads as a name or a literal where it stands."""
        return word.lower() in self.names


@lru_cache(maxsize=2048)  # every perturbation and seed asks about the same prompts
def find_prose(prompt: str, entry_point: str) -> Prose:
    """Find the prose in the docstring of the function `entry_point`; none where there is no such docstring."""
    docstring = find_docstring(prompt, entry_point)
    if not docstring:
        return Prose(spans=(), names=frozenset())
    start, body = docstring.start, docstring.text
    used = {name.lower() for name in (*docstring.code_names, *names_in(body))}
    names = frozenset(used | (_TYPES - _ENGLISH_TYPES) | _RESERVED)
    spans = [
        Stretch(start + span.start, start + span.stop)
        for lines in paragraphs(body, entry_point)
        for span in _spans(body, lines, names)
    ]
    return Prose(spans=tuple(spans), names=names)


def _parsed(prompt: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of unknown escape sequences, which are the benchmark's business
        try:
            return ast.parse(prompt)
        except (SyntaxError, ValueError):
            return None


def find_docstring(prompt: str, entry_point: str) -> Docstring | None:
    """Find the docstring of the function `entry_point`; None where there is none.

    It is the first string that stands alone in the body: one prompt of HumanEval has an import in front of it. A
    literal in several parts is passed over.
    """
    tree = _parsed(prompt)
    nodes = ast.walk(tree) if tree else ()
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    bodies = [node.body for node in functions if node.name == entry_point]
    strings = (
        node.value
        for node in (bodies[-1] if bodies else ())
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    node = next(strings, None)
    source = ast.get_source_segment(prompt, node) if node else None
    found = _LITERAL.fullmatch(source) if source else None
    if tree is None or node is None or found is None or found[2] in found[3]:
        return None
    start = _offset(prompt, node) + found.start(3)
    return Docstring(start=start, text=found[3], code_names=frozenset(_names(tree)))


def _offset(prompt: str, node: ast.Constant) -> int:
    lines = list(io.StringIO(prompt, newline=""))  # splits where Python does, unlike `splitlines`
    before = sum(map(len, lines[: node.lineno - 1]))
    return before + len(lines[node.lineno - 1].encode()[: node.col_offset].decode())


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("id", "arg", "name", "attr", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def _spans(body: str, lines: Sequence[Line], names: frozenset[str]) -> Iterator[Stretch]:
    """Join neighbouring words of a paragraph to spans."""
    span: Stretch | None = None
    for word in _words(body, lines, names):
        if span and _BLANKS.fullmatch(body, span.stop, word.start):
            span = Stretch(span.start, word.stop)
            continue
        if span:
            yield span
        span = word
    if span:
        yield span


def _words(body: str, lines: Sequence[Line], names: frozenset[str]) -> Iterator[Stretch]:
    start = lines[0].start + lines[0].bullet
    text = body[start : lines[-1].stop]
    stretches = marked(text)
    begins = True
    for chunk in _CHUNK.finditer(text):
        word = _WORD.fullmatch(chunk[0])
        inside = any(stretch.meets(Stretch(*chunk.span())) for stretch in stretches)
        if word and not inside and _is_prose(word[1], names, begins=begins):
            at = start + chunk.start() + word.start(1)
            yield Stretch(at, at + len(word[1]))
        begins = bool(_SENTENCE_ENDS.search(chunk[0]))


def _is_prose(word: str, names: frozenset[str], *, begins: bool) -> bool:
    """Return whether a word is an ordinary one: neither a name, nor a type, nor a proper noun, nor a single letter."""
    if word in {"a", "A", "I"}:
        return word.lower() not in names and (begins or word != "A")
    if not begins and not word[0].islower():
        return False
    if word.lower() in names:
        return False
    first, *others = re.split("['-]", word)
    short = any(len(part) == 1 and part not in _APOSTROPHES for part in (first, *others)) or len(first) == 1
    plain = all(part.islower() for part in (first.lower() if first.istitle() else first, *others))
    spoken = all(part in _APOSTROPHES or _VOWEL.search(part) for part in (first, *others))
    return plain and spoken and not short and not any(part.lower() in names for part in (first, *others))
