"""What all tests share: a way to run pytest, and the three ways in which the plugin has to behave the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.micro import PATH as MICRO
from pytest_qeval.schema import Json

Run = Callable[..., pytest.RunResult]


@pytest.fixture(params=[("-p", "no:xdist"), ("-n0",), ("-n2",)], ids=["no-xdist", "n0", "n2"])
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Give the arguments of each way to run: without xdist, with it but in one process, and with two workers."""
    arguments: tuple[str, ...] = request.param
    return arguments


@pytest.fixture(scope="session", autouse=True)
def frugal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the many processes that tests start from wasting time: one thread each, and bytecode that they share.

    The embedded model is too small for a second thread, which only waits, and on a busy machine takes a core to do so.
    Where Python is told to write no bytecode, as it is in container images, every process would compile the plugin and
    all of pytest's plugins anew, which takes longer than most sessions; a folder of this test session leaves no file
    where none is wanted.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        if sys.dont_write_bytecode:
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        yield


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in a process of its own, as a user does, in an empty project and with an empty cache.

    Plugins that come with the development tools stay outside: hypothesis alone takes as long as a small session.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / ".cache"))

    def run_pytest(*arguments: str) -> pytest.RunResult:
        without = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")
        return pytester.runpytest_subprocess(*without, *arguments, timeout=240)

    return run_pytest


@pytest.fixture(scope="session")
def micro_rows() -> Sequence[Json]:
    """Give micro's problems as they stand in the file."""
    return [json.loads(line) for line in MICRO.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def samples(pytester: pytest.Pytester, micro_rows: Sequence[Json]) -> Path:
    """Write a samples file: eight micro problems, of which every fourth is answered wrongly."""
    path = pytester.path / "answers.jsonl"
    rows = (
        {
            "task_id": row["task_id"],
            "completion": "    return None\n" if index % 4 == 3 else row["canonical_solution"],  # noqa: PLR2004
        }
        for index, row in enumerate(micro_rows[:8])
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
