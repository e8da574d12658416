"""Run under pytest-xdist: every worker knows its whole share at once, so that it can generate ahead.

xdist deals items out gradually, which would leave an engine with a batch of two. Here the controller sends every worker
its whole share, computed by `plan.shares`. What `--dist` keeps on one worker stays there. xdist itself only sends test
ids and numbers, so plan and share have a channel of their own between controller and worker: they need no folder in
common. `hooks/share.py` is the worker's side.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qeval.benchmarks.custom import benchmark_from_dict
from pytest_qeval.config.origins import with_origin
from pytest_qeval.config.values import Values
from pytest_qeval.config.worker_cost import worker_cost
from pytest_qeval.errors import QEvalError, UsageError, about
from pytest_qeval.hooks.collect import check_plan
from pytest_qeval.hooks.handed import CHANNEL, Handed
from pytest_qeval.measure.machine import available_memory_bytes
from pytest_qeval.plan import shares
from pytest_qeval.records.messages import to_plain
from pytest_qeval.schema import Case, Json, Record

if TYPE_CHECKING:
    from xdist.scheduler import LoadScheduling

    from pytest_qeval.run.context import RunContext


def is_distributed(config: pytest.Config) -> bool:
    """Return whether this process only controls workers."""
    return Values(config).is_distributed and not hasattr(config, "workerinput")


def worker_name(config: pytest.Config) -> str:
    """Return xdist's name of this worker, or `main`."""
    return str(getattr(config, "workerinput", {}).get("workerid", "main"))


_PATIENCE_S = 600.0
"""For a plan that a worker has sent before it said that its collection is over."""


class Distributor:
    """The controller's side: hooks of xdist, registered only when work is distributed."""

    def __init__(
        self,
        config: pytest.Config,
        context: RunContext,
        *,
        baseline: str | None,
        announce: Callable[[Sequence[tuple[str, Case | None]]], None],
        baseline_record: Callable[[str, Case], Record | None],
    ) -> None:
        """Prepare.

        Args:
            config: Of the session, which removes the workers' folder at its end.
            context: Of this process, which runs no test itself.
            baseline: Path of the saved baseline that workers read.
            announce: Called once with the planned recipes and cases.
            baseline_record: Returns the baseline's record of a recipe's case, if there is one by now.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="qeval-"))
        config.add_cleanup(self.remove_folder)
        self._context = context
        self._baseline = baseline
        self._announce = announce
        self._baseline_record = baseline_record
        self._dist = str(config.getoption("dist"))
        self._channels: dict[str, Any] = {}
        """By the worker's name."""
        self._by_worker: dict[str, int] = {}
        """Places, by the worker's name."""
        self._places = iter(range(sys.maxsize))
        self._free: list[int] = []
        """Places of lost workers."""
        self._n_lost = 0
        self._memory_bytes = available_memory_bytes() // context.n_workers
        self._scopes: list[str | None] = []
        self.plan: list[tuple[str | None, Case | None]] | None = None
        self._run: list[str | None] = []

    def remove_folder(self) -> None:
        """Remove what workers share."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @pytest.hookimpl
    def pytest_report_header(self) -> list[str]:
        """Say what workers cost, and where tests are dealt out otherwise than the user asked."""
        cost = worker_cost(self._context.settings, n_workers=self._context.n_workers)
        lines = [f"qeval: {cost}"] if cost else []
        if self._dist == "worksteal":
            lines.append(
                "qeval: --dist worksteal: a worker is sent its share at the start, to generate ahead; "
                "no test moves later"
            )
        return lines

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker its place, a channel, and what is settled; a replacement has the place of a lost one."""
        handed = self._handed(self._free.pop(0) if self._free else next(self._places))
        if not node.gateway.spec.popen or node.gateway.spec.via:
            handed = handed.for_another_machine()
        handed.hand_to(node.workerinput)
        name = node.workerinput["workerid"]
        self._by_worker[name] = handed.place
        self._channels[name] = node.workerinput[CHANNEL] = node.gateway.newchannel()

    def _handed(self, place: int) -> Handed:
        settings, resumed = self._context.settings, self._context.resumed
        return Handed(
            folder=str(self._folder),
            place=place,
            n_workers=self._context.n_workers,
            dist=self._dist,
            prompt_style=settings.generation.prompt_style,
            prompt_reason=settings.prompt_reason,
            suites=settings.suites,
            commits=[source.commit for source in settings.resolved.sources] if settings.resolved else [],
            memory_bytes=self._memory_bytes,
            baseline=self._baseline,
            journal=str(resumed.path) if resumed else None,
            journal_bytes=resumed.n_bytes if resumed else 0,
            changed=resumed.changed if resumed else (),
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Count lost workers."""
        if error:
            self._n_lost += 1
            self._free.append(self._by_worker[node.workerinput["workerid"]])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Read what the first worker collected; the others collected the same."""
        if self.plan is None:
            collected = json.loads(self._channels[node.workerinput["workerid"]].receive(_PATIENCE_S))
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

        return ShareScheduling(
            config,
            log,
            deal=self._deal,
            hand=self._hand,
            place=lambda node: self._by_worker[node.workerinput["workerid"]],
            replaces=lambda: self._replaces(config),
        )

    def _deal(self, n_workers: int) -> Sequence[Sequence[int]]:
        return shares(self._run, n_workers, together=self._context.settings.strict, scopes=self._scopes)

    def _hand(self, node: Any, share: Sequence[int], *, is_replacement: bool) -> None:
        """Tell a worker its share before xdist does; one that replaces another is also told what the baseline did."""
        known = map(to_plain, self._known(share)) if is_replacement else ()
        self._channels[node.workerinput["workerid"]].send(json.dumps({"share": list(share), "known": list(known)}))

    def _known(self, share: Sequence[int]) -> Iterator[Record]:
        planned = [self.plan[index] for index in share] if self.plan else []
        for recipe, case in planned:
            record = self._baseline_record(recipe, case) if recipe and case else None
            if record is not None:
                yield record

    def _replaces(self, config: pytest.Config) -> bool:
        """Return whether xdist starts another worker in place of the one that was lost last."""
        from xdist.dsession import get_default_max_worker_restart  # noqa: PLC0415 - as above

        most = get_default_max_worker_restart(config)
        return most is None or self._n_lost <= most
