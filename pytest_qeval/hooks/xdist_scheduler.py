"""The scheduler that sends every xdist worker its whole share at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling


class ShareScheduling(LoadScheduling):  # type: ignore[misc] # xdist is an extra that may be absent
    """Deals shares out by `plan.shares`; what a crashed worker leaves is dealt out as xdist does it."""

    collection: list[str] | None
    maxschedchunk: int | None

    def __init__(self, config: pytest.Config, log: Any, *, deal: Callable[[int], Sequence[Sequence[int]]]) -> None:
        """Prepare; `deal` returns the items of so many workers once collection is over."""
        super().__init__(config, log)
        self._deal = deal

    def schedule(self) -> None:
        """Send every worker its share, and tell it that nothing else will come."""
        if self.collection is not None or not self._check_nodes_have_same_collection():
            super().schedule()
            return
        self.collection = next(iter(self.node2collection.values()))
        self.maxschedchunk = self.maxschedchunk or len(self.collection)
        nodes = sorted(self.nodes, key=lambda node: node.workerinput["qeval"]["index"])
        for node, share in zip(nodes, self._deal(len(nodes)), strict=True):
            self.node2pending[node].extend(share)
            if share:
                node.send_runtest_some(list(share))
            node.shutdown()
