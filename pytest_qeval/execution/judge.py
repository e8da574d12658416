"""The trusted side of one program: run its test against a proxy of its function, and reply with the verdict.

The judge receives the program and a nonce from the plugin, hands the code to the solver, and sends the nonce back only
after `check` returned. It compares only exact builtin values that its own decoder made.
"""

from __future__ import annotations

import builtins
import contextlib
import reprlib
import sys
import types
from typing import Any, NamedTuple

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.codec import decode, encode
from pytest_qeval.execution.proxy import LOST, NOTHING, ProgramError, SolverProxy, StoppedError

FAULT = "fault"
"""Status of a solver that could not be confined."""

NOTE_EXPECTED = "note_expected"
"""Name of the function by which a test takes note of what the reference returns."""

_MAX_DETAIL = 200
_MAX_EXPECTED_BYTES = 2**19  # so much that a request has room for it beside the largest test


class Request(NamedTuple):
    """What the plugin sends to a judge after the nonce; see `Program`."""

    prelude: str
    code: str
    test: str
    entry_point: str
    timeout_s: float
    memory_bytes: int
    is_reference: bool = False
    expected: bytes = b""


def judge(plugin: Channel, solver: Channel) -> bool:
    """Judge one program from the plugin and reply to it; return whether the solver is still alive."""
    nonce, *values = plugin.receive()
    proxy = SolverProxy(solver)
    expected = bytearray()
    try:
        kind, *details = solver.receive()
        if kind == "ready":
            status, detail = _run(proxy, Request(*values), expected)
        else:
            status, detail = FAULT, " ".join(map(str, details))
    except EOFError:
        status, detail = FAULT, "the solver died before it saw the program"
    plugin.send(nonce, status, _one_line(detail), bytes(expected))
    return status != LOST


def _run(proxy: SolverProxy, request: Request, expected: bytearray) -> tuple[str, str]:
    """Return status and detail; add to `expected` what the test has noted."""
    test = request.test
    try:
        proxy.load(request.code, request.entry_point, timeout_s=request.timeout_s, memory_bytes=request.memory_bytes)
        expected += _check(proxy, request)
    except StoppedError:
        pass
    except ProgramError as error:
        return proxy.verdict or error.verdict
    except MemoryError:
        return proxy.verdict or ("memory", "MemoryError: the result is too large to be judged")
    except AssertionError as error:
        if proxy.verdict is None:
            proxy.verdict = ("failed", "")  # so that nothing is asked for the description
            proxy.verdict = ("failed", _describe_assertion(error, test, proxy.last_result))
        return proxy.verdict
    except BaseException as error:  # noqa: BLE001 - a SystemExit of the test is not a success
        return proxy.verdict or ("error", f"{type(error).__name__}: {_message(error)}")
    return proxy.verdict or ("passed", "")


def _check(proxy: SolverProxy, request: Request) -> bytes:
    """Execute the trusted sources and call `check`; of a reference, return instead what a test notes of its results."""
    entry_point = request.entry_point
    namespace: dict[str, Any] = {"__name__": "test"}
    compiled = _compile_prelude(request.prelude)
    if compiled is not None:
        with contextlib.suppress(Exception):  # such as a missing import: the test names what it misses
            exec(compiled, namespace)  # noqa: S102 - the benchmark's own source
    body = compile(request.test, "<test>", "exec", dont_inherit=True)
    for name in _names_of(body) - namespace.keys() - vars(builtins).keys():
        namespace[name] = _supply(name, proxy)
    candidate = proxy.function(entry_point)
    namespace[entry_point] = candidate
    exec(body, namespace)  # noqa: S102 - the benchmark's own source
    check, note_expected = namespace["check"], namespace.get(NOTE_EXPECTED)
    namespace[entry_point] = candidate  # again: the function may be called `check`, as in MBPP/56
    if request.is_reference and note_expected is not None and note_expected is not candidate:
        return _encode_expected(note_expected(candidate))
    check(candidate, *([decode(request.expected)] if request.expected else []))
    return b""


def _encode_expected(noted: object) -> bytes:
    """Encode what a test noted; nothing where it is too much, or holds objects of the program."""
    try:
        data = encode(noted)
    except CodecError:
        return b""
    return data if len(data) <= _MAX_EXPECTED_BYTES else b""


def _supply(name: str, proxy: SolverProxy) -> object:
    """Return the meaning of a name that only the program defines: a module that it imports, or a function."""
    if name in sys.modules and name in sys.stdlib_module_names:  # import nothing because of a name
        return sys.modules[name]
    return proxy.function(name)


def _compile_prelude(source: str) -> types.CodeType | None:
    """Compile the longest beginning of `source` that compiles: a prompt may end in the middle of a function."""
    lines = source.splitlines(keepends=True)
    for end in range(len(lines), 0, -1):
        head = "".join(lines[:end])
        for ending in ("", "\n    pass\n"):
            with contextlib.suppress(SyntaxError, ValueError):
                return compile(head + ending, "<prelude>", "exec", dont_inherit=True)
    return None


def _one_line(text: str) -> str:
    """Return the first line that is not blank, cut to a length that fits in a table."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    printable = "".join(character if character.isprintable() else "?" for character in line)
    return printable if len(printable) <= _MAX_DETAIL else printable[: _MAX_DETAIL - 1] + "…"


def _names_of(code: types.CodeType) -> set[str]:
    """Return the names that a code object and the functions in it may look up as globals."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names_of, inner))


def _describe_assertion(error: AssertionError, test: str, last_result: object) -> str:
    """Return the line of the test that failed, and the program's last result."""
    message, trace, line = _one_line(_message(error)), error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<test>":
            line = test.splitlines()[trace.tb_lineno - 1].strip()
        trace = trace.tb_next
    if message and line.startswith("raise "):  # the test raises a message of its own
        return message
    result = "" if last_result is NOTHING else f" (got {_repr(last_result)})"
    reason = f": {message}" if message and message not in line else ""
    room = max(40, _MAX_DETAIL - len(result) - len(reason))
    return f"{line[:room]}{result}{reason}"


def _message(error: BaseException) -> str:
    """Return the text of an exception, which may hold an object of the program."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - whatever the program does when it is asked
        return ""


def _repr(value: object) -> str:
    try:
        return _one_line(reprlib.repr(value))
    except (ValueError, StoppedError):  # an integer with more digits than Python prints, a program that is gone
        return f"a {type(value).__name__}"
