"""Time limits of tests leave out what the model takes, since it works for all of them at once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RunIn = Callable[..., "subprocess.CompletedProcess[str]"]

SLOW_MODEL = """
import time
from pytest_qeval.schema import Record
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.run.engines import EngineLoader
from pytest_qeval.run.recipe_run import RecipeRun
from pytest_qeval.session import Session

add = Session.add

def slow(function):
    def wrapped(*arguments):
        if function is not add or isinstance(arguments[1], Record):  # of all messages the one that a test waits for
            time.sleep(0.6)
        return function(*arguments)
    return wrapped

def pytest_configure():
    EngineLoader.load, Evaluator.evaluate = slow(EngineLoader.load), slow(Evaluator.evaluate)
    RecipeRun.close, Session.add = slow(RecipeRun.close), slow(add)
"""
TEST = """
import time
import pytest

@pytest.mark.qeval("micro")
def test_mine(qeval, case):
    qeval(case)
    if case.task_id == "micro/{}":
        time.sleep(1)
"""
LIMITS = {
    "signal": ("--timeout=0.5",),
    "thread": ("--timeout=0.5", "--timeout-method=thread"),
    "func_only": ("--timeout=0.5", "-o", "timeout_func_only=true"),
    "faulthandler": ("-o", "faulthandler_timeout=0.5", "-o", "faulthandler_exit_on_timeout=true"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_model_may_take_longer_than_a_test(
    run_in: RunIn, pytester: pytest.Pytester, samples: Path, limit: str
) -> None:
    """To load, to generate, to be closed and reported; what the test itself takes is counted."""
    pytest.importorskip("pytest_timeout")
    pytester.makeconftest(SLOW_MODEL)
    pytester.makepyfile(test_mine=TEST.format("0" if limit == "signal" else "none"))
    n_problems = 2 if limit == "signal" else 1  # one whose test is too slow, and one whose is not
    replay = (f"--qeval-completions={samples}", f"--qeval-limit={n_problems}", "test_mine.py")
    output = run_in(pytester.path, "-p", "no:xdist", *LIMITS[limit], *replay).stdout

    expected = ["*timeout of a test does not count*", "*micro/0*Timeout*", "*1 failed, 1 passed in*"]
    pytest.LineMatcher(output.splitlines()).fnmatch_lines(expected if limit == "signal" else ["*1 passed in*"])
