"""Quantities that several metrics share: a single reading, a contended one, and a drop from nothing."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.schema import Estimate, Quantity, Undefined

_CONTENDED = ", contended: "
_NOTHING = 1e-9
"""Shares and scores below are 0: BLEU of a sentence with no word in common is 1e-77."""


def single(value: float, method: str, *, n: int = 1) -> Estimate:
    """Return a value without an interval."""
    return Estimate(value=float(value), low=None, high=None, n=n, method=method)


def contended(found: Estimate, reason: str) -> Estimate:
    """Return what was measured on a disturbed machine, without the interval: it proves nothing."""
    return replace(found, low=None, high=None, method=f"{found.method}{_CONTENDED}{reason}") if reason else found


def is_contended(found: Estimate) -> bool:
    """Return whether `contended` has marked an estimate."""
    return _CONTENDED in found.method


def nothing_to_lose(own: Quantity | None, baseline: str) -> Undefined | None:
    """Refuse a drop from 0, which would always pass; often the prompt is wrong then."""
    if isinstance(own, Estimate) and own.value < _NOTHING:
        return Undefined(
            reason=f"{baseline} itself has 0, so that nothing can drop; check that --qeval-prompt fits the model"
        )
    return None
