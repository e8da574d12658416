"""Saved baselines are distinguished from names of recipes; the cache has a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qeval.verdict.baseline.file import is_baseline_file, write_baseline
from pytest_qeval.verdict.baseline.key import cache_folder
from tests.unit.verdict.baseline.baselines import SAVED


def test_a_baseline_is_recognized_by_name_or_content(tmp_path: Path) -> None:
    """So that a recipe's name is never taken for one."""
    write_baseline(tmp_path / "kept", SAVED)
    (tmp_path / "plain.json").write_text("{}", encoding="utf-8")

    assert is_baseline_file(Path("not/there.json.gz"))
    assert is_baseline_file(tmp_path / "kept")
    assert not any(map(is_baseline_file, (tmp_path, tmp_path / "plain.json", Path("int8"))))


def test_the_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system names it."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")

    assert cache_folder() == Path("/caches/pytest-qeval/baselines")
