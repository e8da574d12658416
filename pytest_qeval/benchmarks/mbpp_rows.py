"""MBPP's rows in both editions, read and understood: which function is asked for, and what its tests say about it.

The file names no function: its name has to be read from the tests. It may be `check` or `sum`, it need not be the only
function of the reference, and the call may be wrapped (`assert int(lobb_num(5, 3)) == 35`).
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qeval.benchmarks.jsonl import iter_entries, iter_rows
from pytest_qeval.errors import DataError

__all__ = ["ORIGINAL", "SANITIZED", "Layout", "Row", "read_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How an edition of the file is written."""

    read: Callable[..., Iterator[tuple[int, dict[str, Any]]]]
    unit: str
    """What a message calls the place of a row."""
    text: str
    """The field that says what is asked."""
    setup: str
    """The field with what is executed between the program and its tests: a text, or a list of lines."""
    setup_is_list: bool


ORIGINAL = Layout(read=iter_rows, unit="line", text="text", setup="test_setup_code", setup_is_list=False)
SANITIZED = Layout(read=iter_entries, unit="entry", text="prompt", setup="test_imports", setup_is_list=True)


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
        """Call and expected value of every test with `==`, spelled as Python spells them."""
        pairs = filter(None, (_sides(_parsed(test)) for test in self.tests))
        return tuple((ast.unparse(call), ast.unparse(expected)) for call, expected in pairs)


def read_rows(content: bytes, *, source: str, layout: Layout = ORIGINAL) -> Iterator[Row]:
    """Read the file's rows in its order.

    Raises:
        DataError: naming `source`, the place and the task id, for whatever keeps a row from being asked.
    """
    seen: set[int] = set()
    for number, row in layout.read(content, source=source):
        where = f"{source}, {layout.unit} {number}"
        task_id = row.get("task_id")
        if type(task_id) is not int:
            raise DataError(f"{where}: expected a whole number in the field task_id.")
        if task_id in seen:
            raise DataError(f"{where}: the task id {task_id} occurs twice.")
        seen.add(task_id)
        where = f"{where} (task id {task_id})"
        _check_fields(row, where, layout)
        yield _read(row, where, layout)
    if not seen:
        raise DataError(f"{source} holds no problems.")


def _check_fields(row: Mapping[str, Any], where: str, layout: Layout) -> None:
    texts = (layout.text, "code", *(() if layout.setup_is_list else (layout.setup,)))
    wrong = [name for name in texts if not isinstance(row.get(name), str)]
    if wrong:
        raise DataError(f"{where}: expected the text fields {', '.join(wrong)}.")
    if layout.setup_is_list and not _is_texts(row.get(layout.setup)):
        raise DataError(f"{where}: expected a list of statements in the field {layout.setup}.")
    tests = row.get("test_list")
    if not tests or not _is_texts(tests):
        raise DataError(f"{where}: expected a list of assert statements in the field test_list.")


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _read(row: Mapping[str, Any], where: str, layout: Layout) -> Row:
    code = _plain(row["code"])
    setup = _plain("\n".join(row[layout.setup]) if layout.setup_is_list else row[layout.setup])
    try:
        module = _parsed(code)
        calls = [_calls(_parsed(test)) for test in row["test_list"]]
        _parsed(setup)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{where}: expected Python in code, {layout.setup} and test_list ({error}).") from error
    return Row(
        number=row["task_id"],
        text=_plain(row[layout.text]),
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
    """Return both sides of a test's `==`; nothing where it is no such test."""
    match module.body:
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]))]:
            return left, right
    return ()


def _calls(module: ast.Module) -> Sequence[str]:
    """Name what a test calls, the outermost first; nothing where it is no test."""
    match module.body:
        case [ast.Assert(test=test)]:
            return [function.id for function in _called(test)]
    return ()


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
