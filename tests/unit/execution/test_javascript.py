"""Programs in JavaScript: their values, their ends, and hostile ones, which neither forge a result nor break out."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_qeval.execution import launch
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import ExecutionStatus, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName
from tests.javascript import needs_node
from tests.sandboxes import skip_unless_usable, strongest_isolation

_MEMORY_BYTES = 256 * 2**20
_CHECK = "def check(candidate):\n    for a in range(3):\n        assert candidate(a, 7) == a + 7\n"
_HONEST = "function add(a, b) {\n  return a + b;\n}\n"


def _program(code: str, test: str = _CHECK, timeout_s: float | None = None) -> Program:
    return Program(
        prelude="/**\n * Add.\n */\n",
        code=code,
        test=test,
        entry_point="add",
        timeout_s=timeout_s,
        language="javascript",
    )


def _pool(isolation: IsolationName) -> SandboxPool:
    settings = ExecutionSettings(isolation=isolation, timeout_s=4.0, memory_bytes=_MEMORY_BYTES, workers=1)
    return SandboxPool(settings)


@pytest.fixture(scope="module", params=["auto", "process"])
def pool(request: pytest.FixtureRequest) -> Iterator[SandboxPool]:
    """Return a pool of the strongest isolation, and one of the weakest."""
    skip_unless_usable(request.param)
    with _pool(request.param) as running:
        yield running


@pytest.fixture(scope="module")
def strong() -> Iterator[SandboxPool]:
    """Return a pool of the strongest isolation."""
    with _pool(strongest_isolation()) as running:
        yield running


STATUSES: dict[str, tuple[str, ExecutionStatus, str]] = {
    "right": (_HONEST, "passed", ""),
    "an arrow function": ("const add = (a, b) => a + b;", "passed", ""),
    "a module": ("'use strict';\nfunction add(a, b) { return a + b }\nmodule.exports = { add };", "passed", ""),
    "a package of Node.js": ("const { format } = require('util');\nfunction add(a, b) { return a + b }", "passed", ""),
    "wrong": ("function add(a, b) { return a }", "failed", "assert candidate(a, 7) == a + 7 (got 0)"),
    "an exception": ("function add(a) { return a.b.c }", "error", "TypeError: Cannot read properties of undefined"),
    "a text is thrown": ("function add(a) { throw 'no' }", "error", "Error: no"),
    "an error while loading": ("undefinedName;", "error", "ReferenceError: undefinedName is not defined"),
    "no function": ("function other() {}", "error", "ReferenceError: the program defines no function 'add'"),
    "no JavaScript": ("function add(a, b) {\n  return a +\n}", "syntax", "SyntaxError: Unexpected token '}' (line 3)"),
    "not ended": ("function add(a, b) {", "syntax", "SyntaxError: Unexpected end of input"),
    "a package that is missing": ("require('lodash')", "error", "Error: Cannot find module 'lodash'"),
    "endless recursion": ("function add(a) { return add(a) }", "error", "RangeError: Maximum call stack size exceeded"),
}


@needs_node
@pytest.mark.parametrize(("code", "status", "detail"), STATUSES.values(), ids=STATUSES.keys())
def test_every_status_has_its_program(strong: SandboxPool, code: str, status: ExecutionStatus, detail: str) -> None:
    """Statuses, with the line that a user sees."""
    execution = strong.submit(_program(code)).result()

    assert (execution.status, execution.detail[: len(detail)]) == (status, detail)


VALUES = {
    "null": "None",
    "undefined": "('undefined',)",
    "[true, false]": "[True, False]",
    "-1": "-1",
    "2 ** 53": "2.0 ** 53",
    "-0 === 0 && 1 / -0": "float('-inf')",
    "'é😀'": "'é😀'",
    "'😀'[0]": "('a string with half a character',)",
    "10n": "('10n',)",
    "[, 1]": "[('undefined',), 1]",
    "({ a: { b: [] }, 5: 'x' })": "{'5': 'x', 'a': {'b': []}}",
    "Object.assign(Object.create(null), { a: 1 })": "{'a': 1}",
    "[new Number(5), new String('x'), new Boolean(false)]": "[5, 'x', False]",
    "new Map([[1, 2]])": "('an object of Map',)",
    "new (class Point {})()": "('an object of Point',)",
    "({ [Symbol.iterator]: 1 })": "('an object with symbols',)",
    "Promise.resolve(5)": "('an object of Promise',)",
    "add": "('a function',)",
    "'x'.repeat(2 ** 24)": "('a value larger than 8 MiB',)",
}


@needs_node
@pytest.mark.parametrize(("expression", "value"), VALUES.items())
def test_results_are_copied(strong: SandboxPool, expression: str, value: str) -> None:
    """What JSON cannot say is described by a tuple, which equals nothing that a test expects."""
    test = f"def check(candidate):\n    assert candidate() == {value}\n"

    assert strong.submit(_program(f"function add() {{ return {expression} }}", test)).result().status == "passed"


@needs_node
def test_values_that_contain_themselves_have_an_end(strong: SandboxPool) -> None:
    """They equal nothing that is expected."""
    code = "function add() { const all = []; all.push(all); return all }"
    test = "def check(candidate):\n    assert repr(candidate()).count('[') == 90\n"

    assert strong.submit(_program(code, test)).result().status == "passed"


@needs_node
@pytest.mark.parametrize("value", [None, True, -1, 2**40, 0.5, float("inf"), "é😀", [1, [2]], {"a": [None], "5": {}}])
def test_arguments_arrive(strong: SandboxPool, value: object) -> None:
    """And come back."""
    test = f"def check(candidate):\n    inf = float('inf')\n    assert candidate({value!r}) == {value!r}\n"

    assert strong.submit(_program("function add(a) { return a }", test)).result().status == "passed"


@needs_node
def test_programs_start_from_the_same_random_state(strong: SandboxPool) -> None:
    """Verdicts are reproducible."""
    code = "function add() { throw new Error(String(Math.random())) }"

    assert len({strong.submit(_program(code)).result().detail for _ in range(3)}) == 1


def _hostile_programs() -> list[tuple[str, str, str]]:
    """Return names, the statuses that are right, and programs."""
    text = Path(__file__).with_name("hostile_javascript.txt").read_text(encoding="utf-8")
    parts = re.split(r"^### (.+) -> ([a-z ]+)$", text, flags=re.MULTILINE)[1:]
    return list(zip(*(iter(parts),) * 3, strict=True))


@needs_node
@pytest.mark.parametrize(
    ("statuses", "code"), [pytest.param(statuses, code, id=name) for name, statuses, code in _hostile_programs()]
)
def test_hostile_programs_fail(pool: SandboxPool, statuses: str, code: str) -> None:
    """They neither forge a result nor reach anything outside."""
    execution = pool.submit(_program(code)).result()

    assert execution.status in statuses.split(), execution


@needs_node
@pytest.mark.parametrize(
    "code",
    [
        "function add() { for (;;); }",
        "function add() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) }",
        "for (;;);",
        "function add() { return 'a'.repeat(30).match(/^(a+)+b$/) }",
    ],
    ids=["loop", "wait", "loop while loading", "regular expression"],
)
def test_endless_programs_are_stopped(pool: SandboxPool, code: str) -> None:
    """After the time limit, whatever they wait for."""
    assert pool.submit(_program(code, timeout_s=0.5)).result().status == "timeout"


@needs_node
def test_files_outside_are_not_written(pool: SandboxPool, tmp_path: Path) -> None:
    """A folder of its own can be, which is empty for the next program."""
    code = f"require('fs').writeFileSync(PATH, 'x');\n{_HONEST}"
    outside = tmp_path / "planted"

    assert pool.submit(_program(code.replace("PATH", repr(str(outside))))).result().status == "error"
    assert not outside.exists()
    assert pool.submit(_program(code.replace("PATH", "'planted'"))).result().status == "passed"
    assert pool.submit(_program("if (fs.existsSync('planted')) throw 1;\n" + _HONEST)).result().status == "error"
    look = "if (require('fs').readdirSync('.').length) throw new Error('not empty');\n"
    assert pool.submit(_program(look + _HONEST)).result().status == "passed"


@needs_node
def test_secrets_are_not_read(pool: SandboxPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither files of the user, nor solutions of benchmarks, nor the environment, nor other processes' memory."""
    monkeypatch.setenv("QEVAL_SECRET", "secret")
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    references = Path(launch.__file__).parents[1] / "benchmarks" / "javascript" / "references.js"
    assert references.is_file()
    for path in (secret, references, f"/proc/{os.getpid()}/environ"):
        code = f"require('fs').readFileSync({str(path)!r});\n{_HONEST}"
        assert pool.submit(_program(code)).result().status == "error"
    code = f"if (process.env.QEVAL_SECRET) throw 1;\n{_HONEST}"
    assert pool.submit(_program(code)).result().status == "passed"


@needs_node
def test_the_network_is_closed(pool: SandboxPool) -> None:
    """A thread connects, since the program's own events wait for the end of the test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        port = server.getsockname()[1]
        code = (
            f"const {{ Worker }} = require('worker_threads');\n"
            f"new Worker(\"require('net').connect({port}, '127.0.0.1').on('error', () => 0)\", {{ eval: true }});\n"
            "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);\n" + _HONEST
        )
        assert pool.submit(_program(code)).result().status in {"passed", "error"}
        with pytest.raises(TimeoutError):
            server.accept()


@needs_node
def test_nothing_is_left_of_a_pool() -> None:
    """One lane has a worker for each language, and ends both."""
    before = set(psutil.Process().children(recursive=True))
    python = Program(prelude="", code="def add(a, b): return a + b", test=_CHECK, entry_point="add")
    with _pool(strongest_isolation()) as pool:
        for program in (python, _program(_HONEST), python, _program(_HONEST)):
            assert pool.submit(program).result().status == "passed"
        pool.submit(_program("for (;;);"))
    assert set(psutil.Process().children(recursive=True)) - before == set()
