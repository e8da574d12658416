"""What the page is made of: sections of paragraphs, tables, figures, listings and folds. All texts are plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.report.visible import cut, one_line, visible
from pytest_qeval.schema import Json

Tone = Literal["", "good", "bad", "warn", "mute"]
_LONGEST_LISTING = 20_000
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    sort: float | str | None = None
    """What a column is sorted by; None for the text."""
    tone: Tone = ""
    code: bool = False
    """Whether it is a name or an expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose columns can be sorted; the first column heads its rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    """Columns of numbers, which are set to the right."""
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot, with its data as a table beside it."""

    name: str
    """Part of its id in the page."""
    title: str
    description: str
    """What is to be seen, for a reader who does not see it."""
    draw: Callable[[int], Json]
    """Returns the Vega-Lite specification for a width in pixels."""
    table: Table
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A paragraph."""

    text: str
    tone: Tone = ""
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and what they are."""

    rows: tuple[tuple[str, str], ...]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Lines as they are, such as a command or a diff."""

    label: str
    text: str
    is_diff: bool = False
    kind: Literal["listing"] = "listing"


Block = Table | Figure | Text | Facts | Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Blocks that are shown on demand."""

    title: str
    blocks: tuple[Block, ...]
    kind: Literal["fold"] = "fold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the page."""

    name: str
    """Its anchor."""
    title: str
    lead: str
    """What it is about, for a reader who has never seen the project."""
    blocks: tuple[Block | Fold, ...]


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], *, numeric: Sequence[int] = ()) -> Table:
    """Make a table."""
    return Table(caption=caption, head=tuple(head), rows=tuple(map(tuple, rows)), numeric=frozenset(numeric))


def cell(text: str, sort: float | str | None = None, *, tone: Tone = "") -> Cell:
    """Make a cell of words or a number."""
    return Cell(text=one_line(text), sort=sort, tone=tone)


def name(text: str) -> Cell:
    """Make a cell of a name or an expression, which may be long and hostile."""
    return Cell(text=one_line(text), code=True)


def listing(label: str, text: str, *, is_diff: bool = False) -> Listing:
    """Make a listing of a text that may be hostile."""
    return Listing(label=label, text=cut(visible(text[:_LONGEST_LISTING]), longest=_LONGEST_LISTING), is_diff=is_diff)
