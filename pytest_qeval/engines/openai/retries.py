"""What is tried again, and after how long: exponential back-off with jitter, and what the server asks for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
"""Statuses of a server that is busy, starting, or behind a proxy that lost it."""


class TransientError(Exception):
    """An answer that may be another one next time."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        """Take what happened, in words, and how long the server asks to wait."""
        super().__init__(reason)
        self.wait_s = wait_s


def is_transient(status: int) -> bool:
    """Return whether a request with this HTTP status is worth another try."""
    return status in _TRANSIENT


def asked_to_wait_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds of `Retry-After`, a number or a date (RFC 9110, 10.2.3); None without a readable one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - (now or datetime.now(timezone.utc))).total_seconds())


@dataclass(kw_only=True, eq=False)
class Retries:
    """How often a request is sent, and how long to wait in between."""

    attempts: int = 8
    """In all; with the waiting times below, about a minute."""
    first_s: float = 0.5
    longest_s: float = 30.0
    """Between two attempts, unless the server asks for more."""
    patience_s: float = 300.0
    """More than this is not waited, even if the server asks."""
    rng: random.Random = field(default_factory=random.Random)
    """For jitter, so that requests that failed together do not come back together."""

    def delay_s(self, attempt: int, asked_s: float | None = None) -> float | None:
        """Return the seconds to wait after a failed attempt, counted from 1; None to give up.

        Half to all of an exponential back-off, and never less than the server asks for.
        """
        if attempt >= self.attempts or (asked_s or 0.0) > self.patience_s:
            return None
        backoff_s = min(self.longest_s, self.first_s * 2.0 ** (attempt - 1))
        jitter: float = self.rng.uniform(0.5, 1.0)
        return (asked_s or 0.0) + backoff_s * jitter
