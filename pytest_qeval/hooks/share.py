"""A worker of pytest-xdist tells its controller what it has collected, and plans the share that it is sent.

`hooks/xdist.py` is the controller's side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from pytest_qeval.benchmarks.custom import benchmark_to_dict
from pytest_qeval.hooks.collect import ERROR
from pytest_qeval.hooks.handed import CHANNEL, handed_to
from pytest_qeval.hooks.items import plan_of, recipe_of, workload_of
from pytest_qeval.measure.timing_facts import QUICK
from pytest_qeval.records.messages import from_plain
from pytest_qeval.schema import Record

if TYPE_CHECKING:
    from pytest_qeval.run.context import RunContext

_PATIENCE_S = 60.0
"""For a share, which is sent before the number of its first test."""


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
    """Plan all items; a worker only sends them to its controller, and plans what `take_share` brings."""
    handed = handed_to(config)
    if handed is None:
        _plan(context, items)
        return
    plan = plan_of(items)
    collected = {
        "error": [str(config.stash[ERROR]), config.stash[ERROR].option] if ERROR in config.stash else None,
        "plan": [[recipe, asdict(case) if case else None] for recipe, case in plan],
        # What is reused takes no time, and is dealt like ordinary tests.
        "run": [None if context.reuses(recipe, case) else recipe for recipe, case in plan],
        "scopes": [scope_of(item, handed.dist) for item in items],
        "own": [benchmark_to_dict(benchmark) for benchmark in context.benchmarks.own.values()],
    }
    _channel(config).send(json.dumps(collected))


def take_share(session: pytest.Session, context: RunContext) -> None:
    """Plan a worker's share; called once, before its first test."""
    sent = json.loads(_channel(session.config).receive(_PATIENCE_S))
    known = [record for record in map(from_plain, sent["known"]) if isinstance(record, Record)]
    context.outcomes |= {(record.recipe, record.case): record for record in known}
    _plan(context, [session.items[index] for index in sent["share"]])


def _channel(config: pytest.Config) -> Any:
    """Return what execnet made of the controller's channel."""
    return config.workerinput[CHANNEL]  # type: ignore[attr-defined] # xdist's


def _plan(context: RunContext, items: Sequence[pytest.Item]) -> None:
    """Pass the cases to be generated ahead, and what is timed, to the context."""
    context.plan([(recipe, case) for recipe, case in plan_of(items) if recipe and case])
    timed = ((recipe_of(item), workload_of(item)) for item in items)
    context.efficiency.planned += [(recipe, name) for recipe, name in timed if recipe and name and name != QUICK]
