"""Sizes with units, read and written."""

from __future__ import annotations

import pytest

from pytest_qeval.measure.byte_sizes import format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16GB", 16 * 10**9),
        (" 16 GiB ", 16 * 2**30),
        ("1.5gib", 3 * 2**29),
        ("800mb", 800 * 10**6),
        ("12kB", 12000),
        ("7B", 7),
        ("0GB", 0),
        ("16", None),
        ("GB", None),
        ("16 apples", None),
        ("-1GB", None),
        ("16G", None),
        ("", None),
    ],
)
def test_a_size_needs_a_unit(text: str, size: int | None) -> None:
    """A bare number could be bytes or gigabytes."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_260_334_848, "1.26 GB"), (359e6, "359 MB")]
)
def test_a_size_is_written_in_decimal_units(size: float, text: str) -> None:
    assert format_bytes(size) == text
