"""MBPP's rows, read and understood: which function is asked for, and what its tests say about it.

The file names no function: its name has to be read from the tests. It may be `check` or `sum`, it need not be the only
function of the reference, and the call may be wrapped (`assert int(lobb_num(5, 3)) == 35`).
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qeval.benchmarks.jsonl import iter_rows
from pytest_qeval.errors import DataError

__all__ = ["Row", "read_rows"]

_TEXTS = ("text", "code", "test_setup_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One problem of the file; line ends are plain newlines."""

    number: int
    """The `task_id` of the file, from 1."""
    text: str
    tests: tuple[str, ...]
    """Assert statements, as they stand."""
    setup: str
    """What is executed between the program and its tests; nearly always empty."""
    code: str
    """The reference."""
    module: ast.Module
    """The reference, parsed."""
    function: ast.FunctionDef
    """The function of `module` that all tests call."""

    @property
    def check(self) -> str:
        """Source that defines `check(candidate)`, the setup before it."""
        lines = [f"    {_renamed(test, self.function.name)}\n" for test in self.tests]
        setup = f"{self.setup}\n\n\n" if self.setup else ""
        return f"{setup}def check(candidate):\n{''.join(lines)}"

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Call and expected value of every test, spelled as Python spells them."""
        pairs = (_sides(_parsed(test)) for test in self.tests)
        return tuple((ast.unparse(call), ast.unparse(expected)) for call, expected in pairs)


def read_rows(content: bytes, *, source: str) -> Iterator[Row]:
    """Read the file's rows in its order.

    Raises:
        DataError: naming `source` and the line, for whatever keeps a row from being asked.
    """
    seen: set[int] = set()
    for line, row in iter_rows(content, source=source):
        where = f"{source}, line {line}"
        _check_fields(row, where)
        if row["task_id"] in seen:
            raise DataError(f"{where}: the task id {row['task_id']} occurs twice.")
        seen.add(row["task_id"])
        yield _read(row, where)
    if not seen:
        raise DataError(f"{source} holds no problems.")


def _check_fields(row: Mapping[str, Any], where: str) -> None:
    wrong = [name for name in _TEXTS if not isinstance(row.get(name), str)]
    if wrong:
        raise DataError(f"{where}: expected the text fields {', '.join(wrong)}.")
    if type(row.get("task_id")) is not int:
        raise DataError(f"{where}: expected a whole number in the field task_id.")
    tests = row.get("test_list")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise DataError(f"{where}: expected a list of assert statements in the field test_list.")


def _read(row: Mapping[str, Any], where: str) -> Row:
    code, setup = (_plain(row[name]) for name in ("code", "test_setup_code"))
    try:
        module = _parsed(code)
        calls = [_calls(_parsed(test)) for test in row["test_list"]]
        _parsed(setup)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{where}: expected Python in code, test_setup_code and test_list ({error}).") from error
    return Row(
        number=row["task_id"],
        text=_plain(row["text"]),
        tests=tuple(_plain(test) for test in row["test_list"]),
        setup=setup,
        code=code,
        module=module,
        function=_function(module, calls, where),
    )


def _function(module: ast.Module, calls: Sequence[Sequence[str]], where: str) -> ast.FunctionDef:
    """Find the function that all tests call."""
    if not all(calls):
        raise DataError(f"{where}: expected tests like `assert f(1) == 2` in test_list.")
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    common = [name for name in calls[0] if name in functions and all(name in others for others in calls)]
    if not common:
        defined = ", ".join(functions) or "none"
        raise DataError(f"{where}: the tests call no function that code defines ({defined}).")
    return functions[common[0]]


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some references spell regular expressions as ordinary strings
        return ast.parse(source)


def _sides(module: ast.Module) -> Sequence[ast.expr]:
    """Give both sides of a test's `==`; nothing where it is no such test."""
    match module.body:
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]))]:
            return left, right
    return ()


def _calls(module: ast.Module) -> Sequence[str]:
    """Name what a test calls, the outermost first; nothing where it is no test."""
    sides = _sides(module)
    return [function.id for function in _called(sides[0])] if sides else []


def _renamed(test: str, name: str) -> str:
    module = _parsed(test)
    for function in _called(module):
        if function.id == name:
            function.id = "candidate"
    return ast.unparse(module)


def _called(tree: ast.AST) -> Iterator[ast.Name]:
    """Yield what is called by name, the outermost call first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func
