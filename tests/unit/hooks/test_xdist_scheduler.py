"""Every worker of pytest-xdist gets its whole share at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_qeval.hooks.share import scope_of
from pytest_qeval.plan import shares

scheduler = pytest.importorskip("pytest_qeval.hooks.xdist_scheduler")
RECIPES = ["auto", "int8", None, "auto", "int8", None, "auto"]
ITEMS = [f"test_{number}" for number in range(len(RECIPES))]


class Node:
    """A worker that keeps what it is sent."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.gateway = type("Gateway", (), {"id": f"gw{place}"})()
        self.told: list[int] = []
        self.is_replacement = False
        self.received: list[int] = []
        self.shutting_down = False

    def hand(self, share: Sequence[int], *, is_replacement: bool) -> None:
        self.told += share
        self.is_replacement = is_replacement

    def send_runtest_some(self, indices: list[int]) -> None:
        self.received += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def scheduled(
    config: pytest.Config, nodes: list[Node], *, together: bool, collected: Any = None, replaces: bool = True
) -> Any:
    scheduling = scheduler.ShareScheduling(
        config,
        None,
        deal=lambda count: shares(RECIPES, count, together=together),
        hand=Node.hand,
        place=lambda node: node.place,
        replaces=lambda: replaces,
    )
    for node in nodes:
        scheduling.add_node(node)
    for node in nodes:
        scheduling.add_node_collection(node, collected(node) if collected else ITEMS)
    scheduling.schedule()
    return scheduling


def replace(scheduling: Any, place: int) -> Node:
    """Add a worker in place of a lost one, as xdist does."""
    scheduling.add_node(node := Node(place))
    scheduling.add_node_collection(node, ITEMS)
    scheduling.schedule()
    return node


@pytest.fixture
def config(pytester: pytest.Pytester) -> pytest.Config:
    """Return the configuration of a controller of two workers."""
    return pytester.parseconfig("--dist=load", "--tx=2*popen")


@pytest.mark.parametrize("together", [False, True])
def test_a_worker_is_sent_its_share_and_nothing_else(config: pytest.Config, *, together: bool) -> None:
    """In the order of the workers' indices, whatever the order in which they were started."""
    nodes = [Node(1), Node(0)]
    scheduled(config, nodes, together=together)

    assert (tuple(nodes[1].received), tuple(nodes[0].received)) == shares(RECIPES, 2, together=together)
    assert [node.told for node in nodes] == [node.received for node in nodes]
    assert not any(node.is_replacement for node in nodes)
    assert all(node.shutting_down for node in nodes)


def test_workers_that_collect_otherwise_get_nothing(config: pytest.Config) -> None:
    """The difference is reported by xdist itself."""
    nodes = [Node(0), Node(1)]
    scheduled(config, nodes, together=False, collected=lambda node: [*ITEMS[1:], node.gateway.id])

    assert [node.received for node in nodes] == [[], []]


def test_another_worker_runs_what_a_lost_one_left(config: pytest.Config) -> None:
    """From the item that it was running on."""
    nodes = [Node(0), Node(1)]
    scheduling = scheduled(config, nodes, together=False)
    scheduling.mark_test_complete(nodes[0], nodes[0].received[0])

    assert scheduling.remove_node(nodes[0]) is None
    assert not scheduling.tests_finished

    replacement = replace(scheduling, 0)
    assert replacement.received == replacement.told == nodes[0].received[1:]
    assert replacement.is_replacement
    assert replacement.shutting_down


def test_an_item_that_lost_two_workers_is_given_up(config: pytest.Config) -> None:
    """It is named as the one that crashed; what follows it is run."""
    nodes = [Node(0), Node(1)]
    scheduling = scheduled(config, nodes, together=False)
    scheduling.remove_node(nodes[0])
    second = replace(scheduling, 0)

    assert scheduling.remove_node(second) == ITEMS[nodes[0].received[0]]
    assert replace(scheduling, 0).received == nodes[0].received[1:]


def test_without_a_replacement_the_running_item_is_named_at_once(config: pytest.Config) -> None:
    nodes = [Node(0), Node(1)]
    scheduling = scheduled(config, nodes, together=False, replaces=False)

    assert scheduling.remove_node(nodes[1]) == ITEMS[nodes[1].received[0]]


def test_a_worker_that_had_finished_leaves_nothing(config: pytest.Config) -> None:
    nodes = [Node(0), Node(1)]
    scheduling = scheduled(config, nodes, together=False)
    for index in nodes[0].received:
        scheduling.mark_test_complete(nodes[0], index)

    assert scheduling.remove_node(nodes[0]) is None
    assert scheduling.pending == []


SCOPES = """
import pytest

class TestOne:
    def test_a(self): pass

@pytest.mark.xdist_group("big")
def test_b(): pass

@pytest.mark.xdist_group(name="big")
def test_c(): pass
"""


@pytest.mark.parametrize(
    ("dist", "groups"),
    [
        ("load", [None, None, None]),
        ("worksteal", [None, None, None]),
        ("loadfile", ["{}"] * 3),
        ("loadscope", ["{}::test_scopes.py::TestOne", "{}::test_scopes.py", "{}::test_scopes.py"]),
        ("loadgroup", [None, "big", "big"]),
    ],
)
def test_what_dist_keeps_together(pytester: pytest.Pytester, dist: str, groups: list[str | None]) -> None:
    """Files, classes and modules, or groups by the marker of xdist."""
    path = pytester.makepyfile(test_scopes=SCOPES)
    items = pytester.inline_genitems(path)[0]

    assert [scope_of(item, dist) for item in items] == [group and group.format(path) for group in groups]
