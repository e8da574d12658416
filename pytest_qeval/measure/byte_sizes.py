"""Read and write sizes with units: `16GB` is 16 × 10^9 bytes, `16GiB` 16 × 2^30."""

from __future__ import annotations

import re

UNITS = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
"""Bytes by unit; letters may be of either case where that leaves no doubt."""
_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[A-Za-z]+)")
_STEP = 1000


def parse_bytes(text: str) -> int | None:
    """Return the bytes that a text such as `16GB` or `1.5 GiB` means; None where it has no unit, or is something else.

    A bare number is not guessed at: it could be bytes, or gigabytes.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = unit_bytes(match["unit"]) if match else None
    return round(float(match["number"]) * unit) if match and unit else None


def unit_bytes(unit: str) -> int | None:
    """Return the bytes of a unit, in any case of its letters; None for an unknown one."""
    return next((size for name, size in UNITS.items() if name.casefold() == unit.casefold()), None)


def format_bytes(size: float) -> str:
    """Write a size in decimal units, as on a disk's label: `1.26 GB`."""
    for unit in ("B", "kB", "MB"):
        if size < _STEP:
            return f"{size:.3g} {unit}"
        size /= _STEP
    return f"{size:.2f} GB"
