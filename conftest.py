"""What all tests share: a way to run pytest, and the three ways in which the plugin has to behave the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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
