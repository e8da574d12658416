"""The scheduler that sends every xdist worker its whole share at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest
from xdist.scheduler import LoadScheduling


class Hand(Protocol):
    """Tells a worker its share, to generate ahead."""

    def __call__(self, node: Any, share: Sequence[int], *, is_replacement: bool) -> None:
        """Send the numbers of the items."""


class ShareScheduling(LoadScheduling):  # type: ignore[misc] # xdist is an extra that may be absent
    """Deals shares out by `plan.shares`; the worker that replaces a lost one gets all that was left.

    The item that a lost worker was running is left as well, once: a worker may be killed for no fault of its item. With
    a second worker lost at it, the item is reported as failed, as xdist does at once.
    """

    collection: list[str] | None
    pending: list[int]

    def __init__(
        self,
        config: pytest.Config,
        log: Any,
        *,
        deal: Callable[[int], Sequence[Sequence[int]]],
        hand: Hand,
        place: Callable[[Any], int],
        replaces: Callable[[], bool],
    ) -> None:
        """Prepare.

        Args:
            config: Of the session.
            log: Of xdist.
            deal: Returns the items of so many workers once collection is over.
            hand: Tells a worker its share.
            place: Returns the number of a worker's share.
            replaces: Returns whether another worker comes for the one that was lost last.
        """
        super().__init__(config, log)
        self._deal = deal
        self._hand = hand
        self._place = place
        self._replaces = replaces
        self._lost_at: set[int] = set()

    def schedule(self) -> None:
        """Send every worker its share, and tell it that nothing else will come."""
        if self.collection is not None:
            for node in self.node2collection:
                if node in self.node2pending and not node.shutting_down:
                    left, self.pending = sorted(self.pending), []
                    self._send(node, left, is_replacement=True)
            return
        if not self._check_nodes_have_same_collection():
            super().schedule()
            return
        self.collection = next(iter(self.node2collection.values()))
        nodes = sorted(self.nodes, key=self._place)
        for node, share in zip(nodes, self._deal(len(nodes)), strict=True):
            self._send(node, share, is_replacement=False)

    def check_schedule(self, node: Any, duration: float = 0) -> None:
        """Send nothing later: a worker knows its whole share."""

    def remove_node(self, node: Any) -> str | None:
        """Take back what a lost worker had; return its item only if no other worker will run it."""
        left = self.node2pending.pop(node)
        if not left:
            return None
        assert self.collection is not None  # noqa: S101 - else nothing was sent
        running, *others = left
        again = running not in self._lost_at and self._replaces()
        self._lost_at.add(running)
        self.pending += [running, *others] if again else others
        return None if again else self.collection[running]

    def _send(self, node: Any, share: Sequence[int], *, is_replacement: bool) -> None:
        self.node2pending[node].extend(share)
        if share:
            self._hand(node, share, is_replacement=is_replacement)
            node.send_runtest_some(list(share))
        node.shutdown()
