"""Find the natural language in a prompt's docstring: the only text that docstring perturbations may change.

Code, names, literals, examples, quotes and escape sequences are never part of it, and in doubt a word is not prose.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_qeval.perturb.docstring.markup import DocLine, Span, find_marked, names_in, paragraphs
from pytest_qeval.perturb.docstring.words import word_set
from pytest_qeval.perturb.source import Function, Text, parse_program

_LITERAL = re.compile(r"([rRuU]?)(\"\"\"|'''|\"|')(.*)\2", re.DOTALL)
_CHUNK = re.compile(r"\S+")
_WORD = re.compile(r"\(?([A-Za-z]+(?:['-][A-Za-z]+)*)(?:[.,;:!?]|\)?[.,;:!?)]+)?")
_SENTENCE_ENDS = re.compile(r"[.!?:]['\")\]]*$")
_BLANKS = re.compile(r"[,;]? +")
_APOSTROPHES = frozenset({"d", "ll", "m", "re", "s", "t", "ve"})
_VOWEL = re.compile("[aeiouyAEIOUY]")
"""What every word has, unlike `lst` and the "nth" of a variable."""
_TYPES = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower())
_ENGLISH_TYPES = word_set("filter map object property range reversed slice super type zip")
_RESERVED = word_set("async await def del elif false inf lambda nan none nonlocal null true")
"""Literals, and the keywords that are no words of English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """The text between a docstring's quotes."""

    start: int
    """Offset in the prompt."""
    text: str
    """As the source writes it, with escape sequences."""
    code_names: frozenset[str]
    """All names that the prompt's code uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """The prose of a docstring."""

    spans: Sequence[Span] = ()
    """In the prompt, in order; each is plain words with blanks, commas and semicolons between them, on one line."""
    names: frozenset[str] = frozenset()
    """Names, types and literals in lower case; no changed word may be one of them."""


@lru_cache(maxsize=2048)  # all perturbations and seeds share the prompts
def find_prose(prompt: str, entry_point: str) -> Prose:
    """Find the prose in the docstring of the function `entry_point`; none where there is no such docstring."""
    docstring = find_docstring(prompt, entry_point)
    if not docstring:
        return Prose()
    start, body = docstring.start, docstring.text
    used = {name.lower() for name in (*docstring.code_names, *names_in(body))}
    names = frozenset(used | (_TYPES - _ENGLISH_TYPES) | _RESERVED)
    spans = [
        Span(start + span.start, start + span.stop)
        for lines in paragraphs(body, entry_point)
        for span in _join_words(body, _words(body, lines, names))
    ]
    return Prose(spans=tuple(spans), names=names)


def find_docstring(prompt: str, entry_point: str) -> Docstring | None:
    """Find the docstring of the function `entry_point`; None where there is none.

    It is the first string that stands alone in the body: one prompt of HumanEval has an import in front of it. A
    literal in several parts is ignored.
    """
    tree = parse_program(prompt)
    if tree is None:
        return None
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, Function) and node.name == entry_point]
    strings = (
        node.value
        for node in (bodies[-1] if bodies else ())
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    node = next(strings, None)
    source = Text(text=prompt, tree=tree)
    found = _LITERAL.fullmatch(source.segment(node)) if node else None
    if node is None or found is None or found[2] in found[3]:
        return None
    fields = ("id", "arg", "name", "attr", "asname")
    names = (getattr(node, field, None) for node in ast.walk(tree) for field in fields)
    code_names = frozenset(name for name in names if isinstance(name, str))
    return Docstring(start=source.start(node) + found.start(3), text=found[3], code_names=code_names)


def _join_words(body: str, words: Iterator[Span]) -> Sequence[Span]:
    """Join neighbouring words of a paragraph to spans."""
    spans: list[Span] = []
    for word in words:
        if spans and _BLANKS.fullmatch(body, spans[-1].stop, word.start):
            spans[-1] = Span(spans[-1].start, word.stop)
        else:
            spans.append(word)
    return spans


def _words(body: str, lines: Sequence[DocLine], names: frozenset[str]) -> Iterator[Span]:
    start = lines[0].start + lines[0].bullet
    text = body[start : lines[-1].stop]
    marked = find_marked(text)
    begins = True
    for chunk in _CHUNK.finditer(text):
        word = _WORD.fullmatch(chunk[0])
        is_marked = any(span.overlaps(Span(*chunk.span())) for span in marked)
        if word and not is_marked and _is_prose(word[1], names, begins=begins):
            at = start + chunk.start() + word.start(1)
            yield Span(at, at + len(word[1]))
        begins = bool(_SENTENCE_ENDS.search(chunk[0]))


def _is_prose(word: str, names: frozenset[str], *, begins: bool) -> bool:
    """Return whether a word, which may begin a sentence, is an ordinary one: no name, proper noun or single letter."""
    if word in {"a", "A", "I"}:
        return word.lower() not in names and (begins or word != "A")
    if word.lower() in names or not (begins or word[0].islower()):
        return False
    first, *others = parts = re.split("['-]", word)
    short = any(len(part) == 1 and part not in _APOSTROPHES for part in parts) or len(first) == 1
    plain = all(part.islower() for part in (first.lower() if first.istitle() else first, *others))
    spoken = all(part in _APOSTROPHES or _VOWEL.search(part) for part in parts)
    return plain and spoken and not short and not any(part.lower() in names for part in parts)
