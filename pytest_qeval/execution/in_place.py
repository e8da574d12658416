"""Change a test's objects as a program has changed their copies."""

from __future__ import annotations

from collections import deque


def update_in_place(old: object, new: object) -> None:
    """Make the mutable `old` equal to `new`; objects inside that keep their type and place keep their identity."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        kept = [_merged(was, now) for was, now in zip(old, new, strict=False)]
        if isinstance(old, list):
            old[:] = [*kept, *new[len(kept) :]]
    elif isinstance(old, dict) and isinstance(new, dict):
        merged = {key: _merged(old[key], now) if key in old else now for key, now in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, deque) and isinstance(new, deque):
        old.clear()
        old.extend(new)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new
    elif type(old).__module__ == "numpy" and getattr(old, "shape", ()) == getattr(new, "shape", None) != ():
        old[...] = new  # type: ignore[index] # an array


def _merged(old: object, new: object) -> object:
    if type(old) is type(new) and isinstance(old, (list, tuple, dict, set, bytearray)):
        update_in_place(old, new)
        return new if isinstance(old, tuple) else old
    return new
