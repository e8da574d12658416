"""Check messages that come from a file.

A journal or a saved baseline may be cut off, edited or forged. What is wrong ends in a sentence that names the field
instead of a traceback far away from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, TypedDict, TypeVar

import msgspec

from pytest_qeval.errors import DataError
from pytest_qeval.facts import RecipeFacts, RunHeader
from pytest_qeval.measure.divergence_facts import DivergenceFacts
from pytest_qeval.records.messages import WIRE_TYPES, BaselineScores, Message, RecordLine, RunStart
from pytest_qeval.schema import SCORES, Outcome, Record

T = TypeVar("T")

_LARGEST = 10**20
"""No count and no measurement is greater; sums and ratios of smaller numbers are finite."""
_SMALLEST = 1e-200
"""No measurement but 0 is nearer to 0; quotients by greater ones are finite."""
_DEEPEST = 32
"""Levels of lists and objects in a message; deeper ones could exhaust the stack."""
_UNITS = ("_s", "_bytes", "_tokens")
"""Endings of names whose values are never negative."""
_COUNTS = {"k", "tokens", "texts", "layers", "problems", "planned", "parameters", "quantized_layers", "batch_size"}
"""Other names whose values are never negative."""
_SHOWN = 60
"""Characters of a wrong value that a sentence quotes."""


class _Layer(TypedDict):
    """What `layers.csv` shows of a layer."""

    name: str
    shape: tuple[int, int]
    bits: float
    granularity: str
    kept: bool
    execution: str
    bytes_before: int
    bytes_after: int


class _Calibration(TypedDict):
    duration_s: float


class _InRecipe(TypedDict, total=False):
    layers: tuple[_Layer, ...]
    calibration: _Calibration | None


class _Model(TypedDict):
    id: str


class _Generation(TypedDict, total=False):
    temperature: float
    max_new_tokens: int


class _MoreOfOrigin(TypedDict, total=False):
    model: dict[str, Any]
    versions: dict[str, str]
    engine: str


class _Origin(_MoreOfOrigin):
    path: str
    started_at: str
    host: dict[str, Any]
    accepted_differences: tuple[str, ...]


class _SavedBaseline(TypedDict, total=False):
    saved_baseline: _Origin | None


class _InRun(_SavedBaseline):
    model: _Model
    generation: _Generation


_INNER: Mapping[type, type] = {RecipeFacts: _InRecipe, RunHeader: _InRun, RunStart: _InRun}
"""What later code reads of the parts that may hold more, such as a model's description."""


def decode_json(text: bytes) -> object:
    """Read JSON strictly: UTF-8, no NaN, no infinite numbers, no half surrogates.

    Raises:
        ValueError: in one line.
    """
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise ValueError("lists and objects are nested too deeply") from None


def read_message(row: object) -> Message | None:
    """Return the message that a decoded JSON value holds; None for a type that only a newer version knows.

    An unknown field of a known type is refused: it may change what the fields beside it mean. Fields that an older
    version did not write have defaults.

    Raises:
        ValueError: naming the field: `samples[0].n_tokens: expected int or null, not 'abc'`.
    """
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, not {_quote(row)}")  # noqa: TRY004 - a value of the file is wrong
    kind = row.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"type: expected str, not {_quote(kind)}")  # noqa: TRY004 - as above
    if kind not in WIRE_TYPES:
        return None
    body: Message | RecordLine = read_fields({key: row[key] for key in row if key != "type"}, WIRE_TYPES[kind])
    match body:
        case RecordLine():
            record = body.to_record()
            _check_record(record, body.outcome)
            return record
        case DivergenceFacts():
            for index, problem in enumerate(body.problems):
                if problem.tokens < 1:
                    raise ValueError(f"problems[{index}].tokens: expected at least 1, not {problem.tokens}")
        case BaselineScores():
            _check_scores(body)
    return body


def read_fields(row: object, shape: type[T]) -> T:
    """Return an object of a file as an instance of a type, which has all its fields and no others.

    Raises:
        ValueError: naming the field.
    """
    _check_numbers(row)
    if shape in _INNER:
        _convert(row, _INNER[shape])
    found = _convert(row, shape)
    for path in _unknown(row, msgspec.to_builtins(found), ""):
        raise ValueError(f"{path}: is unknown; if a newer version wrote it, update pytest-qeval")
    return found


def _convert(row: object, shape: type[T]) -> T:
    try:
        return msgspec.convert(row, shape, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(str(error), row)) from None


def _check_numbers(row: object) -> None:
    """Make sure that numbers are finite, of usual size, and not negative where they are counts, sizes or times.

    Raises:
        ValueError: naming the field; also for lists and objects that are nested too deeply to be walked safely.
    """
    left: list[tuple[str, str, object, int]] = [("", "", row, 1)]
    while left:
        path, name, value, depth = left.pop()
        if depth > _DEEPEST:
            raise ValueError(f"{path[:_SHOWN]}…: expected at most {_DEEPEST} levels of lists and objects")
        for key, child in _children(value):
            child_name = key if isinstance(key, str) else name
            if isinstance(child, (dict, list, tuple)):
                left.append((_join(path, key), child_name, child, depth + 1))
            elif isinstance(child, (int, float)):
                _check_number(child, child_name, _join(path, key))


def _check_number(value: float, name: str, path: str) -> None:
    if not -_LARGEST <= value <= _LARGEST or 0 < abs(value) < _SMALLEST:  # NaN fails the first comparison
        raise ValueError(f"{path}: expected a finite number of usual size, not {_quote(value)}")
    if value < 0 and (name.endswith(_UNITS) or name in _COUNTS):
        raise ValueError(f"{path}: expected a number that is not negative, not {value}")


def _check_record(record: Record, outcome: Outcome) -> None:
    if not record.samples:
        raise ValueError("samples: expected at least one")
    statuses = {sample.execution.status for sample in record.samples}
    if record.outcome != outcome or (outcome == "scored" and statuses != {"scored"}):
        raise ValueError(f"outcome: {outcome!r} does not follow from the samples")
    for name in SCORES if outcome == "scored" else ():
        score = record.measurements.get(name)
        if score is None or not 0 <= score <= 1:
            raise ValueError(f"measurements.{name}: expected a number from 0 to 1, not {_quote(score)}")


def _check_scores(scores: BaselineScores) -> None:
    for text in scores.texts:
        try:
            text.check()
        except DataError as error:
            raise ValueError(str(error)) from None
        if any(value > 0 for value in chain(text.tail_log_probs, text.reference_log_probs, *text.top_log_probs)):
            raise ValueError(f"texts: a log-probability of {text.task_id} is above 0")


def _sentence(text: str, row: object) -> str:
    """Turn ``Expected `int | null`, got `str` - at `$.seed` `` into `seed: expected int or null, not 'abc'`."""
    what, _, where = text.partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    if found := re.fullmatch(r"Expected `(.+)`, got `(.+)`", what):
        what = f"expected {found[1].replace(' | ', ' or ')}, not {_value_at(row, path, found[2])}"
    elif found := re.fullmatch(r"Object missing required field `(.+)`", what):
        path, what = _join(path, found[1]), "is missing"
    elif found := re.fullmatch(r"Invalid enum value (.+)", what):
        what = f"{found[1]} is none of the possible values"
    return f"{path}: {what}" if path else what


def _value_at(row: Any, path: str, kind: str) -> str:
    """Quote the value at a path; where the path is not exact (`[...]`), name the kind of value."""
    try:
        for step in re.findall(r"[^.\[\]]+|\.\.\.", path):
            row = row[int(step) if isinstance(row, (list, tuple)) else step]
    except (LookupError, TypeError, ValueError):
        return kind
    return _quote(row)


def _unknown(row: Any, known: Any, path: str) -> Iterator[str]:
    """Yield the paths of fields that are not among the known ones."""
    if row is known or not isinstance(row, (dict, list, tuple)):
        return
    for key, child in _children(row):
        if isinstance(row, dict) and key not in known:
            yield _join(path, key)
        else:
            yield from _unknown(child, known[key], _join(path, key))


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return enumerate(value) if isinstance(value, (list, tuple)) else iter(())


def _join(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def _quote(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
