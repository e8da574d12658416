"""The scheduler that sends every xdist worker its whole share at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScheduling

from pytest_qeval.plan import shares


class ShareScheduling(LoadScheduling):  # type: ignore[misc] # xdist is an extra that may be absent
    """Deals shares out by `plan.shares`; what a crashed worker leaves is dealt out as xdist does it."""

    collection: list[str] | None
    maxschedchunk: int | None

    def __init__(
        self, config: pytest.Config, log: Any, *, recipes: Callable[[], list[str | None]], together: bool
    ) -> None:
        """Prepare; `recipes` gives each collected item's recipe once collection is over."""
        super().__init__(config, log)
        self._recipes = recipes
        self._together = together

    def schedule(self) -> None:
        """Send every worker its share, and tell it that nothing else will come."""
        if self.collection is not None or not self._check_nodes_have_same_collection():
            super().schedule()
            return
        self.collection = next(iter(self.node2collection.values()))
        self.maxschedchunk = self.maxschedchunk or len(self.collection)
        nodes = sorted(self.nodes, key=lambda node: node.workerinput["qeval"]["index"])
        for node, share in zip(nodes, shares(self._recipes(), len(nodes), together=self._together), strict=True):
            self.node2pending[node].extend(share)
            if share:
                node.send_runtest_some(list(share))
            node.shutdown()
