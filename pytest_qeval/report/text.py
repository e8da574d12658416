"""Text that the sections of the terminal summary share: lines with colours, tables, numbers with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pytest_qeval.errors import counted
from pytest_qeval.facts import RecipeFacts, RunHeader
from pytest_qeval.schema import Estimate, Evidence, Json, Quantity, Undefined

CORRECTED = "corrected)"
"""End of a p-value that is corrected for the number of comparisons."""
_LABELS_SHOWN = 12

Colour = Literal["green", "red", "yellow", "bold"]
COLOURS: Mapping[Evidence, Colour] = {"worse": "red", "not worse": "green", "unproven": "yellow"}


class Line(NamedTuple):
    """One line of the summary."""

    text: str
    colour: Colour | None = None


def align(rows: Sequence[Sequence[str]], *, right: bool = False) -> list[str]:
    """Pad cells to columns two blanks apart, all but the first column to the right if wanted; ends are stripped."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if right and index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(rows: Sequence[Sequence[str]], *, right: bool = False) -> Iterator[Line]:
    """Yield aligned rows as lines."""
    return map(Line, align(rows, right=right))


def percent(share: float) -> str:
    """Render a share, such as 65.2%."""
    return f"{share:.1%}"


def points(fraction: float) -> str:
    """Render a change in points, with its sign; a small one with a digit more, so that it is not taken for none."""
    value = 100 * fraction
    digits = 2 if round(value, 1) == 0 and round(value, 2) else 1
    return _minus(f"{round(value, digits) + 0.0:+.{digits}f}")


def value_and_interval(
    quantity: Quantity, number: Callable[[float], str], *, interval: str = "{} – {}"
) -> tuple[str, str]:
    """Render value and interval as two cells; of what is undefined, or has no interval, the reason."""
    if isinstance(quantity, Undefined):
        return "–", quantity.reason
    value, low, high = _minus(number(quantity.value)), quantity.low, quantity.high
    if low is None or high is None:
        return value, f"none: {quantity.method}"
    return value, _minus(interval.format(number(low), number(high)))


def change(delta: Estimate, *, unit: str = " pt") -> str:
    """Render a change in points with its interval: `−1.2 pt [−3.0, +0.6]`."""
    value, ends = value_and_interval(delta, points, interval="[{}, {}]")
    return f"{value}{unit} {ends}"


def p_value(p: float | None, adjusted: float | None) -> str:
    """Render a p-value, and the corrected one where it differs."""
    if p is None or adjusted is None:
        return "no p-value"
    own, corrected = f"{p:.2g}", f"{adjusted:.2g}"
    return f"p = {own}" if own == corrected else f"p = {own} ({corrected} {CORRECTED}"


def evidence_at_margin(evidence: Evidence, margin: float) -> str:
    """Render evidence with the margin that it is about."""
    return f"{evidence} at a margin of {100 * margin:g} pt"


def shorten(labels: Sequence[str]) -> str:
    """Join labels, and count those after the first twelve."""
    more = f" … and {len(labels) - _LABELS_SHOWN} more" if len(labels) > _LABELS_SHOWN else ""
    return f"{', '.join(labels[:_LABELS_SHOWN])}{more}"


def say_once(notes: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each note of `(recipe, note)` pairs once, with all its recipes: `int4, int8`."""
    recipes: dict[str, list[str]] = {}
    for recipe, note in notes:
        recipes.setdefault(note, []).append(recipe)
    return ((", ".join(dict.fromkeys(named)), note) for note, named in recipes.items())


def model_name(run: RunHeader) -> str:
    """Return the model's name for a title: of a path its last part; a name of the hub stays whole."""
    model = str(run.model["id"])
    return (Path(model).name or model) if model.startswith(("/", "./", "../", "~")) else model


def describe_recipe(facts: RecipeFacts | None) -> str:
    """Return what a recipe is, such as `W8A8 native` or `float32 baseline`."""
    if facts is None:
        return "not loaded"
    exact = facts.execution == "full precision"
    words = (facts.dtype if exact else facts.scheme, None if exact else facts.execution)
    return " ".join(word for word in (*words, facts.role if facts.role != "candidate" else None) if word)


def no_record_line(benchmark: str, planned: int) -> Line:
    """Say that nothing is known of a benchmark of the run."""
    return Line(f"{benchmark}: none of its {counted(planned, 'case')} has a record", "red")


def source_lines(labels: Collection[str], facts: Json) -> Iterator[Line]:
    """Yield how many sources the cases of a run come from, if there are fewer than cases."""
    shared = facts.get("clusters", {})
    sources = len({shared.get(label, label) for label in labels})
    if sources < len(labels):
        yield Line(f"  {counted(len(labels), 'problem')} from {counted(sources, 'source')}; each source is one draw")


def excluded_lines(benchmark: str, facts: Json) -> Iterator[Line]:
    """Yield which problems of the data are excluded, by reason, if any."""
    by_reason: dict[str, list[str]] = {}
    for task_id, reason in facts.get("excluded", {}).items():
        by_reason.setdefault(reason, []).append(task_id)
    if by_reason:
        count = sum(map(len, by_reason.values()))
        named = "; ".join(f"{shorten(task_ids)} ({reason})" for reason, task_ids in by_reason.items())
        yield Line(f"  {benchmark}: {count} of {counted(facts['problems'] + count, 'problem')} left out: {named}")


def _minus(text: str) -> str:
    return text.replace("-", "−")
