"""The hooks that a project's `conftest.py`, or another plugin, may implement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_qeval.perturb.base import Perturbation

__all__ = ["pytest_qeval_perturbations"]


def pytest_qeval_perturbations() -> Sequence[Perturbation]:  # type: ignore[empty-body] # pytest calls implementations
    """Return perturbations of your own, which `--qeval-perturbation NAME` then finds; see docs/your-perturbations.md.

    Every implementation is asked, once the tests are collected; a package registers its perturbations by entry points
    in the group `pytest_qeval.perturbations` instead.
    """
