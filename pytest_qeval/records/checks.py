"""Messages that come from a file, checked before anything else touches them.

Within a run messages are made by this program. In a journal or a saved baseline they may be cut, edited or forged, and
what is wrong has to end in a sentence that names the field, not in a traceback far behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from pytest_qeval.errors import DataError
from pytest_qeval.facts import RunHeader
from pytest_qeval.measure.topk import Scores
from pytest_qeval.records.shapes import INSIDE, SHAPES, InRun
from pytest_qeval.schema import SCORES, Json

__all__ = ["check_fields", "check_header", "check_message", "check_plain", "decode"]

_LARGEST = 10**20
"""Nothing that is counted or measured here is greater; sums and ratios of smaller numbers stay finite."""
_SMALLEST = 1e-200
"""Nothing but 0 is nearer to 0, so that a division by what was measured stays finite."""
_DEEPEST = 32
"""Levels of lists and objects in a message; copying deeper ones could exhaust the stack."""
_UNITS = ("_s", "_bytes", "_tokens")
"""Endings of names whose values are never negative."""
_COUNTS = {"k", "tokens", "texts", "layers", "problems", "planned", "parameters", "quantized_layers", "batch_size"}
"""Other names of that kind."""
_NAMES = ("recipe", "name", "benchmark")
"""Fields by which messages of any type are sorted, unknown ones included."""
_SHOWN = 60
"""Characters of a wrong value that a sentence quotes."""


def check_message(row: object) -> Json:
    """Make sure that a message has the fields that its readers expect, and none that they would misunderstand.

    A type that is not known comes from a newer writer and is kept unread. An unknown field of a known type is refused:
    it may change what the fields beside it mean. Fields that an older writer did not have yet get their defaults.

    Returns:
        The message.

    Raises:
        ValueError: naming the field: `samples[0].n_tokens: expected int or null, not 'abc'`.
    """
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, not {_quoted(row)}")  # noqa: TRY004 - it is a file's value that is wrong
    for name in ("type", *(name for name in _NAMES if name in row)):
        if not isinstance(row.get(name), str):
            raise ValueError(f"{name}: expected str, not {_quoted(row.get(name))}")  # noqa: TRY004 - as above
    kind = row["type"]
    check_plain(row)
    body = {name: value for name, value in row.items() if name != "type"}
    if kind in INSIDE:
        _convert(body, INSIDE[kind])
    if kind in SHAPES:
        body = check_fields(body, SHAPES[kind])
    _check_meaning(kind, body)
    return {"type": kind, **body}


def check_header(row: Json) -> Json:
    """Make sure that an object is a `RunHeader`.

    Raises:
        ValueError: naming the field.
    """
    check_plain(row)
    _convert(row, InRun)
    return check_fields(row, RunHeader)


def check_fields(row: Json, shape: type) -> Json:
    """Make sure that an object holds the fields of a dataclass and no others; fill in defaults.

    Raises:
        ValueError: naming the field.
    """
    from msgspec import to_builtins  # noqa: PLC0415 - as in `decode`

    known: Json = to_builtins(_convert(row, shape))
    for path in _unknown(row, known, ""):
        raise ValueError(f"{path}: is unknown; if a newer version wrote it, update pytest-qeval")
    return known


def check_plain(row: object) -> None:
    """Make sure that an object can be computed with and written again: its numbers are finite, its depth has an end.

    Raises:
        ValueError: naming the field.
    """
    left: list[tuple[str, str, Any, int]] = [("", "", row, 1)]
    while left:
        path, name, value, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError(f"{path[:_SHOWN]}…: expected at most {_DEEPEST} levels of lists and objects")
        for key, child in _children(value):
            own = key if isinstance(key, str) else name
            if isinstance(child, (dict, list, tuple)):
                left.append((_joined(path, key), own, child, depth + 1))
            elif isinstance(child, (int, float)):
                _check_number(child, own, path, key)


def decode(text: bytes) -> object:
    """Read JSON strictly: UTF-8, no NaN, no number that is infinite as a float, no half surrogates.

    Raises:
        ValueError: in one line.
    """
    import msgspec  # noqa: PLC0415 - 20 ms that an inert plugin must not take

    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("lists and objects are nested too deeply") from None


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value)


def _check_number(value: float, name: str, path: str, key: str | int) -> None:
    if not -_LARGEST <= value <= _LARGEST or 0 < abs(value) < _SMALLEST:  # the first is true of NaN, too
        raise ValueError(f"{_joined(path, key)}: expected a finite number of usual size, not {_quoted(value)}")
    if value < 0 and (name.endswith(_UNITS) or name in _COUNTS):
        raise ValueError(f"{_joined(path, key)}: expected a number that is not negative, not {value}")


def _check_meaning(kind: str, body: Json) -> None:
    """Look at what types cannot say."""
    if kind == "record":
        _check_record(body)
    if kind == "divergence":
        for index, problem in enumerate(body["problems"]):
            if problem["tokens"] < 1:
                raise ValueError(f"problems[{index}].tokens: expected at least 1, not {problem['tokens']}")
    if kind == "scores":
        _check_scores(body)


def _check_record(body: Json) -> None:
    statuses = [sample["execution"]["status"] for sample in body["samples"]]
    if not statuses:
        raise ValueError("samples: expected at least one")
    scored = "scored" in statuses
    outcome = "scored" if scored else "solved" if "passed" in statuses else "unsolved"
    if body["outcome"] != outcome or (scored and {*statuses} != {"scored"}):
        raise ValueError(f"outcome: the samples do not say {_quoted(body['outcome'])}")
    for name in SCORES if scored else ():
        score = body["measurements"].get(name)
        if score is None or not 0 <= score <= 1:
            raise ValueError(f"measurements.{name}: expected a number from 0 to 1, not {_quoted(score)}")


def _check_scores(body: Json) -> None:
    try:
        texts = Scores.from_dict(body).texts
    except DataError as error:
        raise ValueError(str(error)) from None
    for name, text in texts.items():
        if any(value > 0 for value in chain(text.tail_log_probs, text.reference_log_probs, *text.top_log_probs)):
            raise ValueError(f"texts: a log-probability of {name} is above 0")


def _convert(row: Json, shape: type) -> Any:
    import msgspec  # noqa: PLC0415 - as in `decode`

    try:
        return msgspec.convert(row, shape, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(str(error), row)) from None


def _sentence(text: str, row: Json) -> str:
    """Turn ``Expected `int | null`, got `str` - at `$.seed` `` into `seed: expected int or null, not 'abc'`."""
    what, _, where = text.partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    if found := re.fullmatch(r"Expected `(.+)`, got `(.+)`", what):
        what = f"expected {found[1].replace(' | ', ' or ')}, not {_value_at(row, path, found[2])}"
    elif found := re.fullmatch(r"Object missing required field `(.+)`", what):
        path, what = _joined(path, found[1]), "is missing"
    elif found := re.fullmatch(r"Invalid enum value (.+)", what):
        what = f"{found[1]} is none of the possible values"
    return f"{path}: {what}" if path else what


def _value_at(row: Any, path: str, kind: str) -> str:
    """Quote what stands at a path; where the path is not exact (`[...]`), name the kind of value."""
    try:
        for step in re.findall(r"[^.\[\]]+|\.\.\.", path):
            row = row[int(step) if isinstance(row, (list, tuple)) else step]
    except (LookupError, TypeError, ValueError):
        return kind
    return _quoted(row)


def _unknown(row: Any, known: Any, path: str) -> Iterator[str]:
    """Yield the paths of fields that were dropped; what is kept as it is cannot have lost any."""
    if row is known or not isinstance(row, (dict, list, tuple)):
        return
    for key, child in _children(row):
        if isinstance(row, dict) and key not in known:
            yield _joined(path, key)
        else:
            yield from _unknown(child, known[key], _joined(path, key))


def _joined(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def _quoted(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
