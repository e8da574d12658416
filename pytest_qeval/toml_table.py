"""Tables of a TOML file that a user wrote; every mistake is reported with its file, place and key."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qeval.errors import UsageError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, and its place in the file."""

    where: str
    """Such as `gate file 'gates.toml', [[gate]] number 2`."""
    values: Mapping[str, Any]
    error: type[UsageError]
    """Type of the errors that are raised."""

    def check_keys(self, known: Sequence[str]) -> None:
        """Raise an error for unknown keys."""
        for key in self.values:
            if key not in known:
                guess = did_you_mean(key, known)
                raise self.error(f"{self.where}: the key {key!r} is unknown. {guess}Possible: {', '.join(known)}.")

    def wrong(self, key: str, expected: str) -> UsageError:
        """Return an error that says what a key is, and what is expected."""
        return self.error(f"{self.where}: the key {key!r} is {_describe(self.values[key])}; give {expected}.")

    def flag(self, key: str) -> bool | None:
        """Return true or false; None where the key is missing."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def line(self, key: str) -> str | None:
        """Return a text of one line that is not empty; None where the key is missing."""
        value = self.values.get(key)
        if value is not None and not _is_line(value):
            raise self.wrong(key, "one line of text")
        return value

    def lines(self, key: str) -> tuple[str, ...] | None:
        """Return the lines of a list, which may be empty, or a single one; None where the key is missing."""
        value = self.values.get(key)
        if value is None:
            return None
        found = value if isinstance(value, list) else [value]
        if not all(map(_is_line, found)):
            raise self.wrong(key, "one line of text, or a list of such")
        return tuple(found)

    def counts(self) -> dict[str, int]:
        """Return all values, which are whole numbers above 0."""
        for key, value in self.values.items():
            if type(value) is not int or value < 1:
                raise self.wrong(key, "a whole number above 0")
        return dict(self.values)

    def table(self, key: str) -> Table:
        """Return the table `[key]`; an empty one where it is missing."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"a table, [{key}]")
        return Table(where=f"{self.where}, [{key}]", values=value, error=self.error)

    def tables(self, key: str) -> Iterator[Table]:
        """Yield the tables that stand under `[[key]]`, none where it is missing."""
        rows = self.values.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.wrong(key, f"tables, each under [[{key}]]")
        for number, row in enumerate(rows, start=1):
            yield Table(where=f"{self.where}, [[{key}]] number {number}", values=row, error=self.error)


def read_toml(path: Path, *, kind: str, error: type[UsageError]) -> Table:
    """Read a TOML file; `kind` names such files in messages, as in `gate file`.

    Raises:
        UsageError: of the given type, when it cannot be opened, is not UTF-8 or no TOML.
    """
    where = f"{kind} {str(path)!r}"
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as fault:
        raise error(f"{where} cannot be opened: {fault.strerror}. Name a TOML file.") from None
    except UnicodeDecodeError as fault:
        raise error(f"{where} is not UTF-8: byte {fault.start + 1}. Save it as UTF-8.") from None
    except ValueError as fault:  # TOMLDecodeError, or what `int` says about a number of thousands of digits
        raise error(f"{where} is no valid TOML: {fault}. Mend it there.") from None
    except RecursionError:
        raise error(f"{where} is no valid TOML: brackets within brackets without end. Close them.") from None
    return Table(where=where, values=values, error=error)


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _describe(value: object) -> str:
    """Describe a value briefly: a number may have more digits than can be shown, and a list any length."""
    if isinstance(value, str):
        return repr(value)
    if type(value) is int and abs(value) < 10**9:
        return str(value)
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or a time")
