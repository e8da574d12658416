"""Gates that one line cannot say: a TOML file with recipes, reasons, and what has to be proven.

require_proof = false            # optional, for all gates of the file

[[gate]]
expression = "pass@1 drop <= 2pt"
recipe = "int8*"                 # optional: a candidate, a pattern, or a list of them
benchmark = "humaneval"          # optional, as in front of an expression
require_proof = true             # optional, comes before that of the file
reason = "what we promised"      # optional, shown when the gate is broken
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_qeval.errors import GateError
from pytest_qeval.verdict.gates import Gate, check_baseline, did_you_mean, parse_gate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_gate_file"]

_KEYS = ("require_proof", "gate")
_GATE_KEYS = ("expression", "recipe", "benchmark", "require_proof", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table of the file, read key by key; every error says where."""

    where: str
    values: Mapping[str, Any]

    def check_keys(self, known: tuple[str, ...]) -> None:
        """Refuse keys that nobody reads."""
        for key in self.values:
            if key not in known:
                guess = did_you_mean(key, known)
                raise GateError(f"{self.where}: the key {key!r} is unknown. {guess}Possible: {', '.join(known)}.")

    def wrong(self, key: str, expected: str) -> GateError:
        """Say what a key should have been."""
        return GateError(f"{self.where}: the key {key!r} is {_said(self.values[key])}; give {expected}.")

    def flag(self, key: str) -> bool | None:
        """Give true or false; None where the key is missing."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def line(self, key: str) -> str | None:
        """Give a text of one line that is not empty; None where the key is missing."""
        value = self.values.get(key)
        if value is not None and not _is_line(value):
            raise self.wrong(key, "one line of text")
        return value

    def lines(self, key: str) -> tuple[str, ...] | None:
        """Give the lines of a list, or a single one; None where the key is missing."""
        value = self.values.get(key)
        if value is None:
            return None
        found = value if isinstance(value, list) else [value]
        if not found or not all(map(_is_line, found)):
            raise self.wrong(key, "one line of text, or a list of at least one")
        return tuple(found)


def read_gate_file(path: Path, *, has_baseline: bool = True) -> tuple[Gate, ...]:
    """Read the gates of a TOML file; one for a list of recipes becomes one gate for each of them.

    Args:
        path: Of the file.
        has_baseline: Whether gates may compare with one.

    Raises:
        GateError: naming the file, the number of the gate and the key that is wrong.
    """
    where = f"gate file {str(path)!r}"
    file = _Table(where=where, values=_load(path, where))
    file.check_keys(_KEYS)
    proof = file.flag("require_proof")
    rows = file.values.get("gate", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise file.wrong("gate", "tables, each under [[gate]]")
    if not rows:
        raise GateError(f"{where} holds no gate: write [[gate]], and below it expression = 'pass@1 drop <= 2pt'.")
    return tuple(
        replace(gate, require_proof=proof if gate.require_proof is None else gate.require_proof)
        for number, row in enumerate(rows, start=1)
        for gate in _gates(_Table(where=f"{where}, [[gate]] number {number}", values=row), has_baseline=has_baseline)
    )


def _load(path: Path, where: str) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise GateError(f"{where} cannot be opened: {error.strerror}. Name a TOML file with [[gate]] tables.") from None
    except UnicodeDecodeError as error:
        raise GateError(f"{where} is not UTF-8: byte {error.start + 1}. Save it as UTF-8.") from None
    except ValueError as error:  # TOMLDecodeError, or what `int` says about a number of thousands of digits
        raise GateError(f"{where} is no valid TOML: {error}. Mend it there.") from None
    except RecursionError:
        raise GateError(f"{where} is no valid TOML: brackets within brackets without end. Close them.") from None
    return content


def _gates(table: _Table, *, has_baseline: bool) -> list[Gate]:
    """Read one `[[gate]]`."""
    table.check_keys(_GATE_KEYS)
    expression, benchmark = table.line("expression"), table.line("benchmark")
    if expression is None:
        raise GateError(f"{table.where}: the key 'expression' is missing; give one, such as 'pass@1 drop <= 2pt'.")
    try:
        gate = check_baseline(parse_gate(expression), has_baseline=has_baseline)
    except GateError as error:
        raise GateError(f"{table.where}: {error}") from None
    if benchmark and not gate.per_benchmark:
        raise GateError(
            f"{table.where}: {gate.metric} is measured once a run, not once a benchmark; leave 'benchmark' out."
        )
    if benchmark and gate.benchmark not in {None, benchmark}:
        raise GateError(
            f"{table.where}: {benchmark!r} and {gate.expression!r} name two benchmarks; leave one of them out."
        )
    gate = replace(
        gate,
        benchmark=benchmark or gate.benchmark,
        require_proof=table.flag("require_proof"),
        reason=table.line("reason") or "",
    )
    return [replace(gate, recipe=recipe) for recipe in table.lines("recipe") or (None,)]


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _said(value: object) -> str:
    """Describe what a key was: by its type, since a number may have more digits than can be shown."""
    if isinstance(value, str):
        return repr(value)
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or a time")
