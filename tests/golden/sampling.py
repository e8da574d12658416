"""The type of the fixture `sample`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
Sample = Callable[[Mapping[Key, Value]], Mapping[Key, Value]]
"""Returns every eighth entry of a mapping, or all of them with `-m golden`."""
