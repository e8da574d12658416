"""The pool: results of programs, workers that die, and no processes left at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_qeval.errors import SandboxError
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import ExecutionStatus, Program
from pytest_qeval.settings import ExecutionSettings, IsolationName
from tests.sandboxes import skip_unless_usable

_ROOT = Path(__file__).parents[3]
_SETTINGS = ExecutionSettings(isolation="process", timeout_s=2.0, memory_bytes=256 * 2**20, workers=2)
_CHECK = "def check(candidate):\n    assert candidate(2) == 4\n"


def _program(code: str, test: str = _CHECK, prelude: str = "", timeout_s: float | None = None) -> Program:
    return Program(prelude=prelude, code=code, test=test, entry_point="double", timeout_s=timeout_s)


_HONEST = _program("def double(n):\n    return 2 * n\n")


_WRITE_EVERYWHERE = """
import contextlib, os
def double(n):
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(fd, b"x" * 99)
    return 4
"""


@pytest.fixture(scope="module", params=["auto", "landlock", "process"])
def pool(request: pytest.FixtureRequest) -> Iterator[SandboxPool]:
    """Return a pool of the strongest isolation, and those without namespaces."""
    name: IsolationName = request.param
    skip_unless_usable(name)
    settings = ExecutionSettings(isolation=name, timeout_s=2.0, memory_bytes=256 * 2**20, workers=2)
    with SandboxPool(settings) as running:
        yield running


@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        ("def double(n):\n    return 2 * n\n", "passed", ""),
        ("def double(n):\n    return n\n", "failed", "assert candidate(2) == 4 (got 2)"),
        ("def double(n):\n    return 'x' + n\n", "error", 'TypeError: can only concatenate str (not "int") to str'),
        ("def double(n):\n    assert n > 5, 'small'\n", "error", "AssertionError: small"),
        ("def double(n):\n    return double(n)\n", "error", "RecursionError: maximum recursion depth exceeded"),
        ("import no_such_module\n", "error", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def other(n):\n    return 2 * n\n", "error", "NameError: the program defines no function 'double'"),
        ("def double(n):\n    return input()\n", "error", "EOFError: EOF when reading a line"),
        ("def double(n):\n    exit(0)\n", "error", "NameError: name 'exit' is not defined"),
        (
            "def double(n):\n    raise SystemExit(0)\n",
            "error",
            "SystemExit: 0 (exited before check returned)",
        ),
        ("import os\nos._exit(0)\n", "error", "exited with status 0 before check returned"),
        ("def double(n)\n    return 2 * n\n", "syntax", "SyntaxError: expected ':' (line 1)"),
        ("def double(n):\n\treturn 1\n        return 2\n", "syntax", None),
        ("def double(n):\n    return '\x00'\n", "syntax", None),
        ("def double(n):\n    return [0] * 10**10\n", "memory", "MemoryError"),
        ("def double(n):\n    return (n for n in ())\n", "failed", None),
        (_WRITE_EVERYWHERE, "tampered", None),
    ],
)
def test_every_status_has_its_program(
    pool: SandboxPool, code: str, status: ExecutionStatus, detail: str | None
) -> None:
    """Statuses of failures, with the line that a user sees."""
    execution = pool.submit(_program(code)).result()
    assert execution.status == status, execution
    if detail is not None:
        assert execution.detail == detail


def test_an_endless_program_is_stopped(pool: SandboxPool) -> None:
    """The detail names the time limit."""
    execution = pool.submit(_program("def double(n):\n    while True: pass\n", timeout_s=0.5)).result()
    assert (execution.status, execution.detail) == ("timeout", "no result within 0.5 s")


def test_details_are_one_line_of_bounded_length(pool: SandboxPool) -> None:
    """Neither terminal escapes nor long messages reach a report."""
    code = "def double(n):\n    raise ValueError('\\x1b[31m' + 'long ' * 200 + '\\nsecond')\n"
    execution = pool.submit(_program(code)).result()
    assert execution.detail.startswith("ValueError: ?[31mlong long")
    assert len(execution.detail) == 200
    assert execution.detail.isprintable()


def test_arguments_changed_in_place_are_seen_by_the_test(pool: SandboxPool) -> None:
    """Lists, dicts and sets of the test change where they are, inner ones too."""
    code = (
        "def double(items, inner, table, members):\n"
        "    items.sort(); inner[0].append(3); table['b'] = 2; table.pop('a'); members.add(5)\n"
    )
    test = (
        "def check(candidate):\n"
        "    items, row, table, members = [3, 1, 2], [1, 2], {'a': 1}, {4}\n"
        "    assert candidate(items, [row], table, members=members) is None\n"
        "    assert items == [1, 2, 3]\n"
        "    assert row == [1, 2, 3]\n"
        "    assert table == {'b': 2}\n"
        "    assert members == {4, 5}\n"
    )
    assert pool.submit(_program(code, test)).result().status == "passed"


def test_helpers_of_the_prompt_are_the_trusted_ones(pool: SandboxPool) -> None:
    """A program cannot replace a helper function that its test relies on."""
    prelude = "def helper(n):\n    return n + 1\n\ndef double(n):\n    '''Double.'''\n"
    code = "def helper(n):\n    return 'forged'\n\ndef double(n):\n    return 2 * n\n"
    test = "def check(candidate):\n    assert helper(candidate(2)) == 5\n    assert double(3) == 6\n"
    assert pool.submit(_program(code, test, prelude)).result().status == "passed"


@pytest.mark.parametrize("ending", ["    for x in", "    if n:\n", "    x = (1,\n         2", "  broken('''"])
def test_a_prelude_may_end_in_the_middle(pool: SandboxPool, ending: str) -> None:
    """What compiles of a prompt is used: perturbed prompts may stop anywhere."""
    prelude = f"def helper(n):\n    return n + 1\n\ndef double(n):\n{ending}"
    test = "def check(candidate):\n    assert helper(candidate(2)) == 5\n"
    assert pool.submit(_program(_HONEST.code, test, prelude)).result().status == "passed"


def test_functions_that_only_the_program_defines_can_be_called(pool: SandboxPool) -> None:
    """A test may use a helper that the completion has to define."""
    code = "def half(n):\n    return n // 2\n\ndef double(n):\n    return 2 * n\n"
    test = "def check(candidate):\n    assert half(candidate(2)) == 2\n"
    assert pool.submit(_program(code, test)).result().status == "passed"


def test_modules_that_only_the_program_imports_can_be_used(pool: SandboxPool) -> None:
    """MBPP's tests run in the namespace of the program and rely on its imports."""
    code = "import sys\n\ndef double(n):\n    return 2 * n\n"
    test = "def check(candidate):\n    assert candidate(2) == len(sys.path[:0]) + 4\n"
    assert pool.submit(_program(code, test)).result().status == "passed"


def test_the_function_may_be_called_check(pool: SandboxPool) -> None:
    """Its name is then the test's name too."""
    test = "def check(candidate):\n    assert candidate(2) == 4\n    assert check(3) == 6\n"
    program = Program(prelude="", code="def check(n):\n    return 2 * n\n", test=test, entry_point="check")
    assert pool.submit(program).result().status == "passed"


def test_expected_exceptions_are_seen_by_the_test(pool: SandboxPool) -> None:
    """A test may expect an exception by its builtin class, also of a class derived from it."""
    code = "class Odd(ValueError): pass\n\ndef double(n):\n    raise Odd(f'odd {n}')\n"
    test = (
        "def check(candidate):\n"
        "    try:\n"
        "        candidate(1)\n"
        "    except ValueError as error:\n"
        "        assert str(error) == 'odd 1'\n"
        "    else:\n"
        "        assert False\n"
    )
    assert pool.submit(_program(code, test)).result().status == "passed"


def test_a_test_that_swallows_everything_passes_no_dead_program(pool: SandboxPool) -> None:
    """A verdict that is certain stays, whatever the test catches."""
    test = "def check(candidate):\n    try:\n        candidate(2)\n    except BaseException:\n        pass\n"
    for code in ("import os\ndef double(n):\n    os._exit(0)\n", "def double(n):\n    raise SystemExit\n"):
        assert pool.submit(_program(code, test)).result().status == "error"


def test_a_test_may_raise_its_own_message(pool: SandboxPool) -> None:
    """The message replaces the failing line."""
    test = "def check(candidate):\n    if candidate(2) != 4:\n        raise AssertionError('input 7: too small')\n"

    assert pool.submit(_program("def double(n): return 0", test)).result().detail == "input 7: too small"


def test_installed_packages_can_be_imported(pool: SandboxPool) -> None:
    """Programs may use what the user has installed; numpy's values count as plain ones."""
    code = "import numpy as np\ndef double(n):\n    return np.int64(n) * 2\n"
    assert pool.submit(_program(code)).result().status == "passed"


def test_programs_start_from_the_same_random_state(pool: SandboxPool) -> None:
    """Verdicts are reproducible."""
    code = "import random\ndef double(n):\n    raise ValueError(random.random(), hash('text'))\n"
    details = {pool.submit(_program(code)).result().detail for _ in range(4)}
    assert len(details) == 1


def _is_alive(process: psutil.Process) -> bool:
    """Tell a process from a zombie: those that lost their parent wait for the machine's first process to reap them."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _children() -> set[psutil.Process]:
    return {child for child in psutil.Process().children(recursive=True) if _is_alive(child)}


def _workers(before: set[psutil.Process]) -> list[psutil.Process]:
    """Return the direct children that were not there before, such as servers of other tests."""
    return [child for child in psutil.Process().children() if child not in before]


@pytest.mark.parametrize("name", ["auto", "landlock", "process"])
def test_a_worker_that_dies_is_replaced(name: IsolationName) -> None:
    """The program that was running gets another worker; those after it notice nothing."""
    skip_unless_usable(name)
    before = _children()
    with SandboxPool(ExecutionSettings(isolation=name, timeout_s=5.0, workers=1)) as pool:
        assert pool.submit(_HONEST).result().status == "passed"
        slow = pool.submit(_program("import time\ndef double(n):\n    time.sleep(0.5)\n    return 4\n"))
        time.sleep(0.2)
        for worker in _workers(before):
            worker.kill()
        assert slow.result().status == "passed"
        assert pool.submit(_HONEST).result().status == "passed"


def test_a_worker_that_dies_twice_on_a_program_is_a_fault_of_the_harness() -> None:
    """A program that was never judged is not counted as unsolved."""
    before = _children()
    with SandboxPool(ExecutionSettings(isolation="process", timeout_s=5.0, workers=1)) as pool:
        assert pool.submit(_HONEST).result().status == "passed"
        slow = pool.submit(_program("import time\ndef double(n):\n    time.sleep(3)\n    return 4\n"))
        for _ in range(2):
            time.sleep(0.6)
            for worker in _workers(before):
                worker.kill()
        with pytest.raises(SandboxError, match="died 2 times"):
            slow.result()
        assert pool.submit(_HONEST).result().status == "passed"


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("worker_command", FileNotFoundError("bwrap is not installed")),
        ("tempfile.mkdtemp", OSError(28, "No space left")),
    ],
    ids=["uninstalled", "full disk"],
)
def test_a_sandbox_that_vanishes_meanwhile_is_a_fault_of_the_harness(
    where: str, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that were judged before stay so; the next ones say what is missing, and once it is back all is well."""
    before = _children()

    def vanished(*_: object, **__: object) -> None:
        raise error

    with SandboxPool(ExecutionSettings(isolation="process", timeout_s=5.0, workers=1)) as pool:
        assert pool.submit(_HONEST).result().status == "passed"
        with monkeypatch.context() as patch:
            patch.setattr(f"pytest_qeval.execution.client.{where}", vanished)
            for worker in _workers(before):
                worker.kill()
            with pytest.raises(
                SandboxError, match=r"No sandbox \(process\) can be started: .*--qeval-resume"
            ) as caught:
                pool.submit(_HONEST).result()
            assert str(error) in str(caught.value)
        assert pool.submit(_HONEST).result().status == "passed"
    assert _children() == before


@pytest.mark.parametrize("name", ["auto", "landlock", "process"])
def test_close_leaves_no_process_and_no_file(
    name: IsolationName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither idle workers nor running programs survive; waiting futures fail."""
    skip_unless_usable(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = _children()
    pool = SandboxPool(ExecutionSettings(isolation=name, timeout_s=30.0, workers=2))
    assert pool.submit(_HONEST).result().status == "passed"
    endless = [pool.submit(_program("while True: pass\n")) for _ in range(4)]
    time.sleep(0.3)
    begun = time.monotonic()
    pool.close()
    pool.close()
    assert time.monotonic() - begun < 10  # far less than the programs would run
    for future in endless:
        with pytest.raises(SandboxError, match="closed"):
            future.result(timeout=1)
    assert _children() == before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SandboxError, match="closed"):
        pool.submit(_HONEST)


_PARENT = """
import sys, time
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.schema import Program
from pytest_qeval.settings import ExecutionSettings
pool = SandboxPool(ExecutionSettings(isolation=sys.argv[1], timeout_s=30.0, workers=2))
test = "def check(candidate): assert candidate(2) == 4"
honest = Program(prelude="", code="def double(n): return 2 * n", test=test, entry_point="double")
assert pool.submit(honest).result().status == "passed"
for _ in range(2):
    pool.submit(Program(prelude="", code="while True: pass", test=test, entry_point="double"))
time.sleep(0.5)
print("running", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["auto", "namespace", "landlock", "process"])
def test_nothing_survives_a_killed_plugin(name: IsolationName, tmp_path: Path) -> None:
    """`kill -9` of pytest ends every process below it and removes its temporary directories."""
    skip_unless_usable(name)
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", _PARENT, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        below = psutil.Process(parent.pid).children(recursive=True)
        assert len(below) >= 4
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    left: list[object] = [tmp_path]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [*filter(_is_alive, below), *tmp_path.iterdir()]
    assert left == []


def test_interrupting_the_foreground_does_not_reach_workers() -> None:
    """Ctrl-C reaches pytest's process group; workers have a session of their own."""
    before = _children()
    with SandboxPool(_SETTINGS) as pool:
        assert pool.submit(_HONEST).result().status == "passed"
        workers = _workers(before)
        assert workers
        assert os.getsid(0) not in {os.getsid(worker.pid) for worker in workers}


def test_a_forgotten_pool_is_closed() -> None:
    """A pool that is garbage-collected leaves no process."""
    before = _children()
    pool = SandboxPool(_SETTINGS)
    assert pool.submit(_HONEST).result().status == "passed"
    del pool
    assert _children() == before
