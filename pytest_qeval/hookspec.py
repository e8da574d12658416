"""The hooks that a `conftest.py` or another plugin can implement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_qeval.perturb.base import Perturbation

__all__ = ["pytest_qeval_perturbations"]


def pytest_qeval_perturbations() -> Sequence[Perturbation]:  # type: ignore[empty-body] # pytest calls implementations
    """Return your own perturbations; `--qeval-perturbation NAME` selects one by its name.

    Every implementation is called once, after the tests are collected. A package can register its perturbations by
    entry points of the group `pytest_qeval.perturbations` instead. See docs/your-perturbations.md.
    """
