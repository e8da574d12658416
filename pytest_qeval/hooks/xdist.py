"""Run under pytest-xdist: every worker knows its whole share at once, so that it can generate ahead.

xdist deals items out gradually, which would leave an engine with a batch of two. Here the controller sends every worker
its whole share, computed by `plan.shares`; the worker computes the same share from its index. What `--dist` keeps on
one worker stays there. The collected plan reaches the controller through a small file, since xdist itself only sends
test ids.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qeval.benchmarks.custom import benchmark_from_dict, benchmark_to_dict
from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.values import Values
from pytest_qeval.errors import QEvalError, UsageError, about
from pytest_qeval.hooks.collect import ERROR, check_plan
from pytest_qeval.hooks.items import plan_of, recipe_of, workload_of
from pytest_qeval.measure.machine import available_memory_bytes
from pytest_qeval.measure.timing_facts import QUICK
from pytest_qeval.plan import shares
from pytest_qeval.schema import Case, Json

if TYPE_CHECKING:
    from xdist.scheduler import LoadScheduling

    from pytest_qeval.run.context import RunContext


def is_distributed(config: pytest.Config) -> bool:
    """Return whether this process only controls workers."""
    return Values(config).is_distributed and not hasattr(config, "workerinput")


def worker_name(config: pytest.Config) -> str:
    """Return xdist's name of this worker, or `main`."""
    return str(getattr(config, "workerinput", {}).get("workerid", "main"))


def scope_of(item: pytest.Item, dist: str) -> str | None:
    """Return what stays on one worker: a name that items share; None for an item that may go anywhere.

    That is what `--dist` asks for, and what is timed beside other recipes.
    """
    if workload_of(item) not in {None, QUICK}:
        return "qeval efficiency"
    if dist == "loadfile":
        return str(item.path)
    if dist == "loadscope":
        return f"{item.path}::{item.parent.nodeid if item.parent else ''}"
    groups = [*item.iter_markers("xdist_group")] if dist == "loadgroup" else []
    names = {str(mark.args[0] if mark.args else mark.kwargs.get("name", "default")) for mark in groups}
    return "_".join(sorted(names)) or None


def plan_ahead(config: pytest.Config, context: RunContext, items: Sequence[pytest.Item]) -> None:
    """Pass the cases of this process to the context, and leave the collected plan for the controller."""
    plan = plan_of(items)
    # What is reused takes no time, and is dealt like ordinary tests.
    run = [None if context.reuses(recipe, case) else recipe for recipe, case in plan]
    mine: Sequence[int] = range(len(plan))
    handed: dict[str, Any] | None = getattr(config, "workerinput", {}).get("qeval")
    if handed is not None:
        scopes = [scope_of(item, handed["dist"]) for item in items]
        collected = {
            "error": [str(config.stash[ERROR]), config.stash[ERROR].option] if ERROR in config.stash else None,
            "plan": [[recipe, asdict(case) if case else None] for recipe, case in plan],
            "run": run,
            "scopes": scopes,
            "own": [benchmark_to_dict(benchmark) for benchmark in context.benchmarks.own.values()],
        }
        Path(handed["folder"], f"{worker_name(config)}.json").write_text(json.dumps(collected), encoding="utf-8")
        dealt = shares(run, Values(config).n_workers, together=context.settings.strict, scopes=scopes)
        # A worker that replaces a crashed one has no share of its own: it generates what it is sent.
        mine = dealt[handed["index"]] if handed["index"] < len(dealt) else ()
    context.plan([(recipe, case) for recipe, case in (plan[index] for index in mine) if recipe and case])
    timed = ((recipe_of(items[index]), workload_of(items[index])) for index in mine)
    context.efficiency.planned += [(recipe, name) for recipe, name in timed if recipe and name and name != QUICK]


class Distributor:
    """The controller's side: hooks of xdist, registered only when work is distributed."""

    def __init__(
        self,
        config: pytest.Config,
        context: RunContext,
        *,
        baseline: str | None,
        announce: Callable[[Sequence[tuple[str, Case | None]]], None],
    ) -> None:
        """Prepare.

        Args:
            config: Of the session, which removes the folder of plans at its end.
            context: Of this process, which runs no test itself.
            baseline: Path of the saved baseline that workers read.
            announce: Called once with the planned recipes and cases.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="qeval-"))
        config.add_cleanup(self.remove_folder)
        self._context = context
        self._baseline = baseline
        self._announce = announce
        self._dist = str(config.getoption("dist"))
        self._n_nodes = 0
        self._memory_bytes = available_memory_bytes() // context.n_workers
        self._scopes: list[str | None] = []
        self.plan: list[tuple[str | None, Case | None]] | None = None
        self._run: list[str | None] = []

    def remove_folder(self) -> None:
        """Remove what workers share."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @pytest.hookimpl
    def pytest_report_header(self) -> str | None:
        """Say where tests are dealt out otherwise than the user asked."""
        if self._dist != "worksteal":
            return None
        return (
            "qeval: --dist worksteal: a worker is sent its share at the start, to generate ahead; no test moves later"
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker its index, the folder, and what is settled."""
        settings, resumed = self._context.settings, self._context.resumed
        node.workerinput["qeval"] = {
            "folder": str(self._folder),
            "baseline": self._baseline,
            "resumed": [str(resumed.path), resumed.n_bytes, list(resumed.changed)] if resumed else None,
            "prompt": [settings.generation.prompt_style, settings.prompt_reason],
            "suites": list(settings.suites),
            "commits": [source.commit for source in settings.resolved.sources] if settings.resolved else [],
            "memory_bytes": self._memory_bytes,
            "index": self._n_nodes,
            "dist": self._dist,
        }
        self._n_nodes += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Read what the first worker collected; the others collected the same."""
        if self.plan is None:
            path = self._folder / f"{node.workerinput['workerid']}.json"
            collected = json.loads(path.read_text(encoding="utf-8"))
            self._scopes = collected["scopes"]
            self.plan = [(recipe, Case(**case) if case else None) for recipe, case in collected["plan"]]
            self._run = collected["run"]
            try:
                self._accept(node.config, collected, self.plan)
            except QEvalError as refusal:
                pytest.exit(f"ERROR: {with_origin(refusal, node.config)}", returncode=pytest.ExitCode.USAGE_ERROR)

    def _accept(self, config: pytest.Config, collected: Json, plan: Sequence[tuple[str | None, Case | None]]) -> None:
        """Check what was collected as one process alone would, and announce it."""
        if collected["error"]:
            message, option = collected["error"]
            with about(option):
                raise UsageError(message)
        for row in collected["own"]:
            self._context.benchmarks.adopt(benchmark_from_dict(row), origin=row["name"])
        check_plan(config, self._context, plan)
        self._context.check_benchmarks([case.benchmark for _, case in plan if case])
        self._announce([(recipe, case) for recipe, case in plan if recipe])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScheduling:
        """Replace xdist's ways to deal out tests, each of which keeps to itself what a worker will be sent."""
        from pytest_qeval.hooks.xdist_scheduler import ShareScheduling  # noqa: PLC0415 - needs xdist, which is an extra

        return ShareScheduling(config, log, deal=self._deal)

    def _deal(self, n_workers: int) -> Sequence[Sequence[int]]:
        return shares(self._run, n_workers, together=self._context.settings.strict, scopes=self._scopes)
