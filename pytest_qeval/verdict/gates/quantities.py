"""Quantities that several metrics share: a single reading, and a drop from nothing."""

from __future__ import annotations

from pytest_qeval.schema import Estimate, Quantity, Undefined

_NOTHING = 1e-9
"""Shares and scores below are 0: BLEU of a sentence with no word in common is 1e-77."""


def single(value: float, method: str, *, n: int = 1) -> Estimate:
    """Return a value without an interval."""
    return Estimate(value=float(value), low=None, high=None, n=n, method=method)


def nothing_to_lose(own: Quantity | None, baseline: str) -> Undefined | None:
    """Refuse a drop from 0, which would always pass; often the prompt is wrong then."""
    if isinstance(own, Estimate) and own.value < _NOTHING:
        return Undefined(
            reason=f"{baseline} itself has 0, so that nothing can drop: is the prompt style right for the model?"
        )
    return None
