"""How many threads and sandboxes a process has: what the user says, else its share of what it may use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.config import option_groups
from pytest_qeval.config.option_groups import read_execution, read_threads
from pytest_qeval.config.values import Values

GIB = 2**30


def values(n_workers: int = 1, **options: str) -> Values:
    """Return the options of a process; those of one of several workers know how many there are."""
    config: Any = SimpleNamespace(
        getoption=lambda name, default=None: options.get(name.removeprefix("qeval_"), default),
        getini=lambda _: None,
        args_source=None,
    )
    if n_workers > 1:
        config.workerinput = {"workercount": n_workers}
    return Values(config)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores and 32 GiB, without a quota and without a word from the user."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    has(monkeypatch, cores=8)


def has(monkeypatch: pytest.MonkeyPatch, *, cores: int, quota: int | None = None, memory_bytes: int = 32 * GIB) -> None:
    monkeypatch.setattr(option_groups, "usable_cores", lambda: cores)
    monkeypatch.setattr(option_groups, "quota_cores", lambda: quota)
    monkeypatch.setattr(option_groups, "total_memory_bytes", lambda: memory_bytes)


@pytest.mark.parametrize(("n_workers", "threads"), [(1, None), (2, 4), (3, 2), (16, 1)])
def test_workers_share_the_cores(n_workers: int, threads: int | None) -> None:
    """One process leaves the choice to torch, which knows the physical cores."""
    assert read_threads(values(n_workers)) == threads


@pytest.mark.parametrize(("n_workers", "threads"), [(1, 2), (2, 1)])
def test_a_quota_is_unknown_to_torch(monkeypatch: pytest.MonkeyPatch, n_workers: int, threads: int) -> None:
    has(monkeypatch, cores=2, quota=2)
    assert read_threads(values(n_workers)) == threads


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_user_s_word_counts(monkeypatch: pytest.MonkeyPatch, n_workers: int) -> None:
    """By the option, or by the variable that torch reads; costs are compared under the same number only."""
    has(monkeypatch, cores=2, quota=2)
    monkeypatch.setenv("OMP_NUM_THREADS", "6,2")
    assert read_threads(values(n_workers)) == 6
    assert read_threads(values(n_workers, threads="5")) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert read_threads(values(n_workers)) == 2 // n_workers


@pytest.mark.parametrize(
    ("n_workers", "memory_bytes", "options", "sandboxes"),
    [
        (1, 32 * GIB, {}, 8),
        (2, 32 * GIB, {}, 4),
        (16, 32 * GIB, {}, 1),
        (1, 3 * GIB, {}, 3),
        (1, GIB // 2, {}, 1),
        (1, 32 * GIB, {"memory": "8192"}, 4),
        (2, 3 * GIB, {"workers": "5"}, 5),
    ],
    ids=["cores", "two workers", "many workers", "little memory", "less than one", "large programs", "as asked"],
)
def test_there_is_a_sandbox_for_each_core_and_memory_for_each_sandbox(
    monkeypatch: pytest.MonkeyPatch, n_workers: int, memory_bytes: int, options: dict[str, str], sandboxes: int
) -> None:
    """Programs that a model wrote may use all the memory that they are allowed, several at a time."""
    has(monkeypatch, cores=8, memory_bytes=memory_bytes)
    assert read_execution(values(n_workers, **options)).workers == sandboxes
