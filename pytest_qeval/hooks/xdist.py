"""Working under pytest-xdist: every worker knows its whole share at once, so that it can generate ahead.

xdist deals items out gradually, which would leave an engine with a batch of two. Here the controller sends every worker
its share in one go, computed by `plan.shares`; the worker computes the same share from its index. What was collected
reaches the controller through a small file, for xdist itself only sends test ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qeval.benchmarks.custom import benchmark_from_dict, benchmark_to_dict
from pytest_qeval.errors import UsageError
from pytest_qeval.hooks.collect import ERROR, plan_of, refusal_of
from pytest_qeval.plan import shares
from pytest_qeval.schema import Case, Json

if TYPE_CHECKING:
    from xdist.scheduler import LoadScheduling

    from pytest_qeval.run.context import RunContext

__all__ = ["Distributor", "is_distributed", "plan_ahead", "worker_count", "worker_name"]


def is_distributed(config: pytest.Config) -> bool:
    """Return whether this process only controls workers."""
    return bool(config.getoption("tx", None)) and not hasattr(config, "workerinput")


def worker_name(config: pytest.Config) -> str:
    """Return xdist's name of this worker, or `main`."""
    return str(getattr(config, "workerinput", {}).get("workerid", "main"))


def worker_count(config: pytest.Config) -> int:
    """Return the number of processes that share the work."""
    return int(getattr(config, "workerinput", {}).get("workercount", 1))


def plan_ahead(config: pytest.Config, runtime: RunContext, items: Sequence[pytest.Item]) -> None:
    """Tell the runtime which cases this process will be asked for, and a controller what was collected."""
    plan = plan_of(items)
    mine: Sequence[int] = range(len(plan))
    handed: dict[str, Any] | None = getattr(config, "workerinput", {}).get("qeval")
    if handed is not None:
        told = {
            "error": str(config.stash[ERROR]) if ERROR in config.stash else None,
            "plan": [[recipe, asdict(case) if case else None] for recipe, case in plan],
            "own": [benchmark_to_dict(benchmark) for benchmark in runtime.library.own.values()],
        }
        Path(handed["folder"], f"{worker_name(config)}.json").write_text(json.dumps(told), encoding="utf-8")
        dealt = shares([recipe for recipe, _ in plan], worker_count(config), together=runtime.settings.strict)
        # A worker that replaces a crashed one has no share of its own: it generates what it is sent.
        mine = dealt[handed["index"]] if handed["index"] < len(dealt) else ()
    runtime.plan([(recipe, case) for recipe, case in (plan[index] for index in mine) if recipe and case])


class Distributor:
    """The controller's side: hooks of xdist, registered only when work is distributed."""

    def __init__(self, folder: Path, runtime: RunContext, *, handed: Json, announce: Any) -> None:
        """Prepare.

        Args:
            folder: an empty folder in which workers leave what they collected.
            runtime: of this process, which runs no test itself.
            handed: what every worker is told.
            announce: called once with the planned (recipe, case or None) pairs.
        """
        self._folder = folder
        self._runtime = runtime
        self._handed = handed
        self._announce = announce
        self._n_nodes = 0
        self.plan: list[tuple[str | None, Case | None]] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker its index, the folder and the saved baseline."""
        node.workerinput["qeval"] = {**self._handed, "index": self._n_nodes}
        self._n_nodes += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Read what the first worker collected; the others collected the same."""
        if self.plan is None:
            path = self._folder / f"{node.workerinput['workerid']}.json"
            told = json.loads(path.read_text(encoding="utf-8"))
            self.plan = [(recipe, Case(**case) if case else None) for recipe, case in told["plan"]]
            try:
                self._accept(told, self.plan)
            except UsageError as refusal:
                pytest.exit(f"ERROR: {refusal}", returncode=pytest.ExitCode.USAGE_ERROR)

    def _accept(self, told: Json, plan: Sequence[tuple[str | None, Case | None]]) -> None:
        """Check what was collected as one process alone would, and announce it."""
        if told["error"]:
            raise UsageError(told["error"])
        for row in told["own"]:
            self._runtime.library.adopt(benchmark_from_dict(row), origin=row["name"])
        error = refusal_of(self._runtime, [case.benchmark for _, case in plan if case])
        if error is not None:
            raise error
        self._announce([(recipe, case) for recipe, case in plan if recipe])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScheduling | None:
        """Replace xdist's default distribution; one that the user chose by `--dist` stays."""
        if config.getoption("dist") != "load":
            return None
        from pytest_qeval.hooks.xdist_scheduler import ShareScheduling  # noqa: PLC0415 - needs xdist, which is an extra

        return ShareScheduling(config, log, recipes=self._recipes, together=self._runtime.settings.strict)

    def _recipes(self) -> list[str | None]:
        return [recipe for recipe, _ in self.plan or ()]
