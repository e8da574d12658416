"""Every case under every recipe, with its completions: what the page shows side by side.

The cases travel as JSON, gzip'd and in base64, which the page inflates itself (`DecompressionStream`): a tenth of the
size, and no character of a completion is ever read as HTML.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.report.visible import visible
from pytest_qeval.schema import Case, Json, Record, Sample
from pytest_qeval.summary.results import Summary

Kind = Literal["regressed", "fixed", "both solved", "both unsolved", "scored", "not compared"]
KINDS: tuple[Kind, ...] = ("regressed", "fixed", "both solved", "both unsolved", "scored", "not compared")
_LONGEST_TEXT = 20_000
"""Characters of a completion that the page shows."""
_MOST_BYTES = 2_200_000
"""Of the base64 text: with it the page stays below 3 MB."""
_URGENT: Mapping[Kind, int] = {"regressed": 0, "fixed": 1, "both unsolved": 2, "not compared": 3}
"""What is kept first where not all cases fit; other kinds come last."""
_LAST = 4

Records = Mapping[tuple[str, Case], Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One case under one recipe beside the baseline's."""

    case: Case
    recipe: str
    kind: Kind
    own: Record
    base: Record | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The entries as the page carries them."""

    text: str
    """Base64 of gzip'd JSON."""
    entries: int
    left_out: int
    """Entries for which there was no room."""


def entries_of(summary: Summary, records: Records) -> tuple[Entry, ...]:
    """Return an entry for every case of every recipe but the baseline; without a baseline, of every recipe."""
    return tuple(_entries(summary, records))


def _entries(summary: Summary, records: Records) -> Iterator[Entry]:
    for (recipe, case), own in records.items():
        if recipe == summary.baseline:
            continue
        base = records.get((summary.baseline, case)) if summary.baseline else None
        yield Entry(case=case, recipe=recipe, kind=_kind(own, base), own=own, base=base)


def _kind(own: Record, base: Record | None) -> Kind:
    if own.outcome == "scored":
        return "scored"
    if base is None or "unsupported" in {own.outcome, base.outcome}:
        return "not compared"
    if own.outcome == base.outcome:
        return "both solved" if own.outcome == "solved" else "both unsolved"
    return "regressed" if own.outcome == "unsolved" else "fixed"


def pack(entries: Sequence[Entry], *, most_bytes: int = _MOST_BYTES) -> Payload:
    """Pack as many entries as there is room for: flips first, and nominal cases before perturbed ones."""
    ordered = sorted(entries, key=lambda one: (_URGENT.get(one.kind, _LAST), not one.case.is_own))
    kept = len(ordered)
    text = _pack(ordered)
    while len(text) > most_bytes and kept:
        kept = int(kept * min(0.95 * most_bytes / len(text), 0.95))
        text = _pack(ordered[:kept])
    return Payload(text=text, entries=kept, left_out=len(ordered) - kept)


def _pack(entries: Sequence[Entry]) -> str:
    plain = json.dumps([_row(one) for one in entries], separators=(",", ":"), ensure_ascii=False)
    packed = gzip.compress(plain.encode("utf-8", errors="replace"), mtime=0)
    return base64.b64encode(packed).decode("ascii")


def _row(entry: Entry) -> Json:
    base = entry.base
    return {
        "benchmark": visible(entry.case.benchmark),
        "case": visible(entry.case.label),
        "perturbed": not entry.case.is_own,
        "recipe": visible(entry.recipe),
        "kind": entry.kind,
        "own": _samples(entry.own),
        "base": None if base is None else _samples(base),
        "at": _first_shown(entry.own, base),
        "diff": visible(entry.own.prompt_diff),
    }


def _samples(record: Record) -> Json:
    return {
        "passed": record.n_solved,
        "scores": [f"{name} {100 * score:.1f}" for name, score in record.measurements.items()],
        "samples": [_sample(one) for one in record.samples],
    }


def _sample(sample: Sample) -> list[object]:
    """Return text, status, detail and tokens."""
    text, more = sample.code[:_LONGEST_TEXT], len(sample.code) - _LONGEST_TEXT
    note = f"\n… cut here, {more:,} more characters" if more > 0 else ""
    execution = sample.execution
    return [visible(text) + note, execution.status, visible(execution.detail[:2000]), sample.completion.n_tokens]


def _first_shown(own: Record, base: Record | None) -> list[int]:
    """Return which samples tell the difference: of a regressed case one that passed, and one that did not."""
    solved_before = base is not None and base.n_solved > 0
    return [
        _first(base, passed=True) if base else 0,
        _first(own, passed=not solved_before),
    ]


def _first(record: Record, *, passed: bool) -> int:
    found = (at for at, one in enumerate(record.samples) if (one.execution.status == "passed") == passed)
    return next(found, 0)
