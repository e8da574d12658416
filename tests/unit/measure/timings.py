"""What tests of timed rounds share."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qeval.measure.contention import Watch
from pytest_qeval.measure.timing_facts import WORKLOADS, Block, Contention, ProblemTime, ProblemTimingFacts, TimingFacts

QUIET = Contention(duration_s=1.0, cores=2, others=0.01, stolen=0.0)
BUSY = Contention(duration_s=1.0, cores=2, others=0.5, stolen=0.0)


class QuietWatch(Watch):
    """A machine that is disturbed whenever the list says so."""

    def __init__(self, busy: Sequence[bool] = ()) -> None:
        super().__init__(own_s=lambda: 0.0, clock=lambda: 0.0)
        self.busy = list(busy)

    def start(self) -> None:
        pass

    def stop(self) -> Contention:
        return BUSY if self.busy and self.busy.pop(0) else QUIET


def timing(
    recipe: str,
    seconds: Sequence[float],
    *,
    workload: str = "decode-1",
    beside: tuple[str, ...] = (),
    busy: Sequence[int] = (),
) -> TimingFacts:
    """Make a workload's rounds of three equal values each, of which some were disturbed."""
    blocks = (
        Block(round=at, seconds=(value,) * 3, contention=BUSY if at in busy else QUIET)
        for at, value in enumerate(seconds)
    )
    return TimingFacts(recipe=recipe, workload=WORKLOADS[workload], beside=beside, blocks=tuple(blocks))


def problems(
    recipe: str, tpots: Sequence[float], *, beside: tuple[str, ...] = (), contention: Contention = QUIET
) -> ProblemTimingFacts:
    """Make whole problems: the even ones are solved, the last one's outcome is not known."""
    made = (
        ProblemTime(
            benchmark="micro",
            task_id=f"micro/{at}",
            prompt_tokens=50,
            new_tokens=10 * (at + 1),
            ttft_s=10 * tpot,
            tpot_s=tpot,
            solved=None if at == len(tpots) - 1 else at % 2 == 0,
            contention=contention,
        )
        for at, tpot in enumerate(tpots)
    )
    return ProblemTimingFacts(recipe=recipe, beside=beside, problems=tuple(made))
