"""A configuration of pytest in a worker, as far as what it is handed goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest


class FakeConfig:
    """Has a stash, the worker's input and clean-ups."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.stash = pytest.Stash()
        self.workerinput: dict[str, object] = {}
        self._clean_ups: list[Callable[[], object]] = []

    def add_cleanup(self, function: Callable[[], object]) -> None:
        """Note a function for the end."""
        self._clean_ups.append(function)

    def clean_up(self) -> None:
        """End."""
        for function in self._clean_ups:
            function()
