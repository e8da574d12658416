"""Rows of MBPP's two editions: find the function of each row, and read its tests.

The file names no function, so its name is read from the tests. It may be `check` or `sum`, it need not be the only
function of the reference, and its call may be wrapped (`assert int(lobb_num(5, 3)) == 35`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qeval.benchmarks.python_source import parse
from pytest_qeval.benchmarks.rows import iter_entries, iter_rows, text_fields
from pytest_qeval.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class MbppEdition:
    """One of the published files."""

    title: str
    files: tuple[str, ...]
    config: str
    """Its name on the hub."""
    fields: tuple[str, ...]
    """In the file's order."""
    read: Callable[..., Iterator[tuple[int, dict[str, Any]]]]
    unit: str
    """Name of a row's place in messages."""
    text: str
    """The field with the task."""
    setup: str
    """The field with what is executed between the program and its tests: a text, or a list of lines."""
    setup_is_list: bool


ORIGINAL = MbppEdition(
    title="MBPP",
    files=("mbpp.jsonl", "mbpp.jsonl.gz"),
    config="full",
    fields=("text", "code", "task_id", "test_setup_code", "test_list", "challenge_test_list"),
    read=iter_rows,
    unit="line",
    text="text",
    setup="test_setup_code",
    setup_is_list=False,
)
SANITIZED = MbppEdition(
    title="sanitized MBPP",
    files=("sanitized-mbpp.json", "sanitized-mbpp.json.gz"),
    config="sanitized",
    fields=("source_file", "task_id", "prompt", "code", "test_imports", "test_list"),
    read=iter_entries,
    unit="entry",
    text="prompt",
    setup="test_imports",
    setup_is_list=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MbppRow:
    """One problem of the file; line ends are plain newlines."""

    number: int
    """The `task_id` of the file, from 1."""
    text: str
    tests: tuple[str, ...]
    """Assert statements, unchanged."""
    setup: str
    """What is executed between the program and its tests; nearly always empty."""
    code: str
    """The reference."""
    module: ast.Module
    """The reference, parsed."""
    function: ast.FunctionDef
    """The function of `module` that all tests call."""

    @property
    def task_id(self) -> str:
        """The problem's id, such as `MBPP/11`."""
        return f"MBPP/{self.number}"

    @property
    def check(self) -> str:
        """Source that defines `check(candidate)`, after the setup."""
        lines = [f"    {_renamed(test, self.function.name)}\n" for test in self.tests]
        setup = f"{self.setup}\n\n\n" if self.setup else ""
        return f"{setup}def check(candidate):\n{''.join(lines)}"

    @property
    def examples(self) -> tuple[tuple[str, str], ...]:
        """Call and expected value of every test with `==`, as Python writes them."""
        pairs = filter(None, (_sides(parse(test)) for test in self.tests))
        return tuple((ast.unparse(call), ast.unparse(expected)) for call, expected in pairs)


def read_rows(content: bytes, *, source: str, edition: MbppEdition = ORIGINAL) -> Iterator[MbppRow]:
    """Read the file's rows in its order.

    Raises:
        DataError: naming `source`, the place and the task id of a row that cannot be used.
    """
    seen: set[int] = set()
    for number, row in edition.read(content, source=source):
        where = f"{source}, {edition.unit} {number}"
        task_id = row.get("task_id")
        if type(task_id) is not int:
            raise DataError(f"{where}: expected a whole number in the field task_id.")
        if task_id in seen:
            raise DataError(f"{where}: the task id {task_id} occurs twice.")
        seen.add(task_id)
        yield _read(row, f"{where} (task id {task_id})", edition)
    if not seen:
        raise DataError(f"{source} holds no problems.")


def _read(row: Mapping[str, Any], where: str, edition: MbppEdition) -> MbppRow:
    text_fields(row, (edition.text, "code", *(() if edition.setup_is_list else (edition.setup,))), where)
    if edition.setup_is_list and not _is_texts(row.get(edition.setup)):
        raise DataError(f"{where}: expected a list of statements in the field {edition.setup}.")
    tests = row.get("test_list")
    if not tests or not _is_texts(tests):
        raise DataError(f"{where}: expected a list of assert statements in the field test_list.")
    code = _plain(row["code"])
    setup = _plain("\n".join(row[edition.setup]) if edition.setup_is_list else row[edition.setup])
    try:
        module = parse(code)
        calls = [_calls(parse(test)) for test in tests]
        parse(setup)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{where}: expected Python in code, {edition.setup} and test_list ({error}).") from error
    return MbppRow(
        number=row["task_id"],
        text=_plain(row[edition.text]),
        tests=tuple(map(_plain, tests)),
        setup=setup,
        code=code,
        module=module,
        function=_find_function(module, calls, where),
    )


def _find_function(module: ast.Module, calls: Sequence[Sequence[str]], where: str) -> ast.FunctionDef:
    """Return the function that all tests call."""
    if not all(calls):
        raise DataError(f"{where}: expected tests like `assert f(1) == 2` in test_list.")
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    common = [name for name in calls[0] if name in functions and all(name in others for others in calls)]
    if not common:
        defined = ", ".join(functions) or "none"
        raise DataError(f"{where}: the tests call no function that code defines ({defined}).")
    return functions[common[0]]


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _sides(module: ast.Module) -> Sequence[ast.expr]:
    """Return both sides of a test's `==`; nothing for any other test."""
    match module.body:
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]))]:
            return left, right
    return ()


def _calls(module: ast.Module) -> Sequence[str]:
    """Return the names that a test calls, the outermost first; nothing where it is no test."""
    match module.body:
        case [ast.Assert(test=test)]:
            return [function.id for function in _called(test)]
    return ()


def _renamed(test: str, name: str) -> str:
    module = parse(test)
    for function in _called(module):
        if function.id == name:
            function.id = "candidate"
    return ast.unparse(module)


def _called(tree: ast.AST) -> Iterator[ast.Name]:
    """Yield the called names, the outermost call first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func
