"""A country is one that codecarbon knows."""

from __future__ import annotations

import pytest

from pytest_qeval.errors import MissingPackageError, UsageError
from pytest_qeval.measure import grid
from pytest_qeval.measure.grid import known_country


def test_a_code_is_known_in_any_case() -> None:
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    assert [known_country(code) for code in ("FRA", "usa")] == ["FRA", "USA"]


@pytest.mark.parametrize(("code", "hint"), [("France", "Did you mean 'FRA'"), ("FR", "Did you mean"), ("", "not ''")])
def test_others_are_refused_with_the_nearest_one(code: str, hint: str) -> None:
    """Codecarbon would take the world average without a word."""
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    with pytest.raises(UsageError, match=hint):
        known_country(code)


def test_without_codecarbon_no_grid_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"pytest-qeval\[energy\]"):
        known_country("FRA")
