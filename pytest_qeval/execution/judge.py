"""The trusted side of one program: run its test against a proxy of its function, and say what came of it.

The judge receives the program and a nonce from the plugin, hands the code to the solver, and sends the nonce back only
after `check` returned. It compares nothing but exact builtin values that its own decoder has made.
"""

from __future__ import annotations

import builtins
import contextlib
import reprlib
import sys
import types
from typing import Any

from pytest_qeval.execution.channel import Channel
from pytest_qeval.execution.proxy import LOST, NOTHING, ProgramError, SolverProxy, StoppedError

__all__ = ["FAULT", "compile_prelude", "judge", "one_line"]

FAULT = "fault"
"""The judge's word for a solver that could not be confined, or a request that makes no sense."""

_MAX_DETAIL = 200


def judge(plugin: Channel, solver: Channel) -> bool:
    """Judge the one program that arrives from the plugin and report to it; tell whether the solver is still there."""
    nonce, prelude, code, test, entry_point, timeout_s = plugin.receive()
    proxy = SolverProxy(solver)
    try:
        kind, *details = solver.receive()
        if kind == "ready":
            proxy.timeout_s = timeout_s
            status, detail = _run(proxy, prelude, code, test, entry_point)
        else:
            status, detail = FAULT, " ".join(map(str, details))
    except EOFError:
        status, detail = FAULT, "the solver died before it saw the program"
    plugin.send(nonce, status, one_line(detail))
    return status != LOST


def _run(proxy: SolverProxy, prelude: str, code: str, test: str, entry_point: str) -> tuple[str, str]:
    try:
        proxy.load(code, entry_point)
        _check(proxy, prelude, test, entry_point)
    except StoppedError:
        pass
    except ProgramError as error:
        return proxy.verdict or error.verdict
    except MemoryError:
        return proxy.verdict or ("memory", "MemoryError: the answer is too large to be judged")
    except AssertionError as error:
        return proxy.verdict or ("failed", _describe_assertion(error, test, proxy.last_answer))
    except BaseException as error:  # noqa: BLE001 - a SystemExit of the test is no success either
        return proxy.verdict or ("error", f"{type(error).__name__}: {error}")
    return proxy.verdict or ("passed", "")


def _check(proxy: SolverProxy, prelude: str, test: str, entry_point: str) -> None:
    """Execute the trusted sources and call `check`."""
    namespace: dict[str, Any] = {"__name__": "test"}
    compiled = compile_prelude(prelude)
    if compiled is not None:
        with contextlib.suppress(Exception):  # a missing import, say: the test will name what it misses
            exec(compiled, namespace)  # noqa: S102 - the benchmark's own source
    body = compile(test, "<test>", "exec", dont_inherit=True)
    for name in _names_of(body) - namespace.keys() - vars(builtins).keys():
        namespace[name] = _supply(name, proxy)
    candidate = proxy.function(entry_point)
    namespace[entry_point] = candidate
    exec(body, namespace)  # noqa: S102 - the benchmark's own source
    check = namespace["check"]
    namespace[entry_point] = candidate  # again: the function itself may be called `check`, as in MBPP/56
    check(candidate)


def _supply(name: str, proxy: SolverProxy) -> object:
    """Return what a test may mean by a name that only the program defines: a module it imports, or a function."""
    if name in sys.modules and name in sys.stdlib_module_names:  # nothing is imported for the sake of a name
        return sys.modules[name]
    return proxy.function(name)


def compile_prelude(source: str) -> types.CodeType | None:
    """Compile as many leading lines of `source` as compile: a prompt may end in the middle of a function."""
    lines = source.splitlines(keepends=True)
    for end in range(len(lines), 0, -1):
        head = "".join(lines[:end])
        for ending in ("", "\n    pass\n"):
            with contextlib.suppress(SyntaxError, ValueError):
                return compile(head + ending, "<prelude>", "exec", dont_inherit=True)
    return None


def one_line(text: str) -> str:
    """Return the first line that says something, of a length that fits in a table."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    printable = "".join(character if character.isprintable() else "?" for character in line)
    return printable if len(printable) <= _MAX_DETAIL else printable[: _MAX_DETAIL - 1] + "…"


def _names_of(code: types.CodeType) -> set[str]:
    """Return all names that a code object and the functions in it may look up as globals."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names_of, inner))


def _describe_assertion(error: AssertionError, test: str, last_answer: object) -> str:
    """Say which line of the test did not hold, and what the program answered last."""
    message, trace, line = one_line(str(error)), error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<test>":
            line = test.splitlines()[trace.tb_lineno - 1].strip()
        trace = trace.tb_next
    if message and line.startswith("raise "):  # the test has put it into words of its own
        return message
    answer = "" if last_answer is NOTHING else f" (got {_repr(last_answer)})"
    said = f": {message}" if message and message not in line else ""
    room = max(40, _MAX_DETAIL - len(answer) - len(said))
    return f"{line[:room]}{answer}{said}"


def _repr(value: object) -> str:
    try:
        return one_line(reprlib.repr(value))
    except ValueError:  # an integer of more digits than Python prints
        return f"a huge {type(value).__name__}"
