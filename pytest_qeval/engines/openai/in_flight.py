"""How many requests are under way at a time: a number, or as many as still raise the throughput."""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST = 4
"""Requests at a time to begin with."""
MOST = 256
_GROWTH = 1.05
"""Twice as many requests have to raise the throughput by this factor to be worth it."""
_LEAST_S = 1.0
"""A shorter time tells no throughput."""


@dataclass(kw_only=True, eq=False)
class InFlight:
    """Doubles the number while the throughput grows by more than 5 %, and then goes back to the last one that paid off.

    The run's own requests are measured, none is sent for this. A number is measured from the moment when so many
    requests are under way until as many have been answered, so that prompts and ends of answers are in it as often as
    later. Few requests that are left decide nothing.
    """

    limit: int = FIRST
    """Requests at a time, now."""
    most: int = MOST
    settled: bool = False
    """Whether `limit` stays what it is."""
    rates: dict[int, float] = field(default_factory=dict)
    """Tokens per second, by the number of requests at a time."""
    _began: tuple[float, int] | None = None
    """When the number was first under way, and the tokens of the run until then."""
    _answered: int = 0

    @classmethod
    def fixed(cls, number: int) -> InFlight:
        """Keep to a number."""
        return cls(limit=number, most=number, settled=True)

    def note(self, *, active: int, tokens: int, now_s: float, answered: bool) -> None:
        """Take what is known when a request begins, or is `answered`.

        Args:
            active: Requests under way.
            tokens: Of the run so far, streamed ones included.
            now_s: By any clock.
            answered: Whether a request has just come to an end.
        """
        if self.settled:
            return
        if self._began is None:
            if active >= self.limit:
                self._began, self._answered = (now_s, tokens), 0
            return
        self._answered += answered
        spent_s = now_s - self._began[0]
        if self._answered >= self.limit and spent_s >= _LEAST_S:
            self._decide((tokens - self._began[1]) / spent_s)

    def _decide(self, rate: float) -> None:
        self.rates[self.limit] = rate
        before = self.rates.get(self.limit // 2)
        if before is not None and rate <= _GROWTH * before:
            self.limit, self.settled = self.limit // 2, True
        elif 2 * self.limit > self.most:
            self.settled = True
        else:
            self.limit *= 2
        self._began = None
