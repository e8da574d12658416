"""How long an engine still has to work: prompts to read, and tokens to write, step by step.

Completions differ in length, and a decoding step costs almost the same for one row as for many. So what is left is
neither the share of unfinished completions nor the tokens left divided by a rate: a batch that has finished most of its
rows may still need most of its time for the longest. The forecast therefore advances the batch in expectation, by the
lengths that were seen so far and by the measured cost of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, exp

_BINS = 64
"""Steps of the forecast until the token limit."""
_FIXED_ROWS = 90.0
"""What a step costs besides its rows, in rows: reading the weights (Qwen2.5-0.5B, bf16, two cores; 2026-11). Only where
the steps so far had all the same rows does it matter."""
_TRUST = 400.0
"""Squared deviation of rows, summed over steps, at which measured steps count as much as `_FIXED_ROWS`."""
PRIOR_TOKENS = 128.0
"""Length of a completion before any has ended, where nothing better is known."""
_PRIOR_ROWS = 0.5
"""Rows at risk at which lengths seen so far count as much as a constant chance to end."""


@dataclass(kw_only=True)
class StepCosts:
    """Seconds of decoding steps by their rows, as sums for a straight line (least squares)."""

    steps: int = 0
    rows: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0
    _is_first: bool = field(default=True, repr=False)
    _squares: float = field(default=0.0, repr=False)
    _products: float = field(default=0.0, repr=False)

    def add(self, rows: int, tokens: int, seconds: float) -> None:
        """Count one step of `rows` rows, which were given `tokens` tokens in all.

        The first one is left out: it makes room for the batch, and chooses kernels.
        """
        if self._is_first:
            self._is_first = False
            return
        self.steps += 1
        self.rows += rows
        self.tokens += tokens
        self.seconds += seconds
        self._squares += rows * rows
        self._products += rows * seconds

    def per_step(self, rows: float, *, unknown_s: float) -> float:
        """Return the seconds of a step with so many rows.

        Args:
            rows: Rows of the step, perhaps a fraction in expectation.
            unknown_s: Seconds per row where no step is measured yet, such as those of a token of a prompt.
        """
        if not self.steps:
            return unknown_s * (_FIXED_ROWS + rows)
        mean_rows, mean_s = self.rows / self.steps, self.seconds / self.steps
        usual = mean_s / (_FIXED_ROWS + mean_rows)
        spread = max(0.0, self._squares - self.steps * mean_rows**2)
        together = self._products - self.steps * mean_rows * mean_s
        slope = (together + _TRUST * usual) / (spread + _TRUST)
        slope = min(max(0.0, slope), mean_s / mean_rows if mean_rows else 0.0)
        return mean_s + slope * (rows - mean_rows)

    @property
    def tokens_per_row(self) -> float:
        """Tokens that a row is given in a step: 1, or more where drafts are confirmed."""
        return max(1.0, self.tokens / self.rows) if self.rows else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkLeft:
    """What an engine has done and still has to do."""

    prompt_tokens: int
    """Of prompts that were read."""
    prefill_s: float
    waiting_prompt_tokens: int
    """Of prompts that wait to be read."""
    waiting: int
    """Completions that have no row of the batch yet."""
    live: Sequence[int]
    """Tokens so far of the completions that have one."""
    ended: Sequence[int]
    """Tokens of finished completions."""
    limit: int
    """Tokens of a completion at most."""
    rows: int
    """Completions that are decoded together at most."""
    steps: StepCosts


def remaining_s(
    work: WorkLeft, *, known_lengths: Sequence[int] = (), prior_tokens: float = PRIOR_TOKENS
) -> float | None:
    """Return the seconds that an engine still needs; None before it has done anything.

    Args:
        work: What it has done and has to do.
        known_lengths: Tokens of completions of the same problems, such as those of another recipe.
        prior_tokens: Expected length of a completion; counts as one that has ended.
    """
    if not work.prompt_tokens and not work.steps.steps:
        return None
    per_token = work.prefill_s / work.prompt_tokens if work.prompt_tokens else 0.0
    ended = [*work.ended, *known_lengths]
    return work.waiting_prompt_tokens * per_token + _decode_s(work, ended, per_token, prior_tokens)


def _decode_s(work: WorkLeft, ended: Sequence[int], per_token: float, prior_tokens: float) -> float:
    """Advance the batch in expectation, `width` tokens at a time, until half a row is left."""
    width = max(1, ceil(work.limit / _BINS))
    ends = _chances(ended, work.live, width, limit=work.limit, prior_tokens=prior_tokens)
    alive = [0.0] * len(ends)
    for age in work.live:
        alive[min(age // width, len(alive) - 1)] += 1.0
    waiting, seconds = float(work.waiting), 0.0
    while True:
        rows = sum(alive)
        joining = min(waiting, max(0.0, work.rows - rows))
        alive[0] += joining
        waiting, rows = waiting - joining, rows + joining
        if rows < 0.5:  # noqa: PLR2004 - the median of the end
            return seconds
        seconds += width / work.steps.tokens_per_row * work.steps.per_step(rows, unknown_s=per_token)
        alive = [0.0, *(count * (1.0 - end) for count, end in zip(alive, ends, strict=True))][:-1]


def _chances(ended: Sequence[int], live: Sequence[int], width: int, *, limit: int, prior_tokens: float) -> list[float]:
    """Return for every bin of lengths the chance that a completion which reaches it ends in it.

    The actuarial estimate (Cutler and Ederer 1958), in which a row under way counts as half a row in its bin, drawn
    towards the rate of all bins where few rows have come so far. A completion at the limit has not ended by itself.
    """
    bins = ceil(limit / width)
    last, ends, open_ = [0] * bins, [0] * bins, [0] * bins
    for tokens in ended:
        at = max(0, min(tokens, limit) - 1) // width
        last[at] += 1
        ends[at] += tokens < limit
    for tokens in live:
        at = min(tokens, limit - 1) // width
        last[at] += 1
        open_[at] += 1
    reached = list(accumulate(reversed(last)))[::-1]
    rate = (sum(ends) + 1) / (sum(ended) + sum(live) + prior_tokens)
    usual = 1.0 - exp(-width * rate)
    return [
        min(1.0, (end + _PRIOR_ROWS * usual) / (rows - half / 2 + _PRIOR_ROWS))
        for end, rows, half in zip(ends, reached, open_, strict=True)
    ]
