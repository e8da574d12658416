"""Time limits of tests leave out what the model takes, since it works for all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

SLOW_MODEL = """
import time
from pytest_qeval.evaluator import Evaluator
from pytest_qeval.run.engines import EngineLoader
from pytest_qeval.run.recipe_run import RecipeRun
from pytest_qeval.session import Session

def slow(function):
    def wrapped(*arguments):
        time.sleep(0.8)
        return function(*arguments)
    return wrapped

def pytest_configure():
    EngineLoader.load, Evaluator.evaluate = slow(EngineLoader.load), slow(Evaluator.evaluate)
    RecipeRun.close, Session.add = slow(RecipeRun.close), slow(Session.add)
"""
TEST = """
import time
import pytest

@pytest.mark.qeval("micro")
def test_mine(qeval, case):
    qeval(case)
    if case.task_id == "micro/{}":
        time.sleep(5)
"""
LIMITS = {
    "signal": ("--timeout=0.5",),
    "thread": ("--timeout=0.5", "--timeout-method=thread"),
    "func_only": ("--timeout=0.5", "-o", "timeout_func_only=true"),
    "faulthandler": ("-o", "faulthandler_timeout=0.5", "-o", "faulthandler_exit_on_timeout=true"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_model_may_take_longer_than_a_test(
    run_afresh: Run, pytester: pytest.Pytester, samples: Path, limit: str
) -> None:
    """To load, to generate, to be closed and reported; what the test itself takes is counted."""
    pytest.importorskip("pytest_timeout")
    pytester.makeconftest(SLOW_MODEL)
    pytester.makepyfile(test_mine=TEST.format("0" if limit == "signal" else "none"))
    n_problems = 2 if limit == "signal" else 1  # one whose test is too slow, and one whose is not
    replay = (f"--qeval-completions={samples}", f"--qeval-limit={n_problems}", "test_mine.py")
    result = run_afresh("-p", "no:xdist", *LIMITS[limit], *replay)

    result.stdout.fnmatch_lines(["*micro/0*Timeout*" if limit == "signal" else "*1 passed in*"])
    if limit == "signal":
        result.stdout.fnmatch_lines(["*timeout of a test does not count*", "*1 failed, 1 passed in*"])
