"""What was timed, and what the machine did meanwhile: frozen values of the suite `efficiency`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.facts import EnergyFacts

OTHERS_SHARE = 0.05
"""Share of the machine's processor time from which on other processes disturb a block."""
STOLEN_SHARE = 0.05
"""The same for time that the hypervisor gave to other virtual machines."""
SLOWED_SHARE = 0.1
"""Change of the clock frequency within a block that disturbs it."""
_RESOLUTION_S = 0.03
"""Less processor time than this is not told apart from none: the kernel counts in ticks of 0.01 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A fixed amount of work of a model, which can be repeated."""

    kind: Literal["prefill", "decode"]
    batch: int = 1
    prompt_tokens: int
    """Per sequence."""
    new_tokens: int = 0
    """Decoding steps; 0 for a prefill."""

    def tokens(self, values: int) -> int:
        """Return the tokens that were read or written in so many values of `Block.seconds`."""
        return values * self.batch * (self.prompt_tokens if self.kind == "prefill" else 1)

    @property
    def name(self) -> str:
        """`prefill-512` by its prompt, `decode-8` by its batch."""
        return f"prefill-{self.prompt_tokens}" if self.kind == "prefill" else f"decode-{self.batch}"


WORKLOADS: Mapping[str, Workload] = {
    one.name: one
    for one in (
        Workload(kind="prefill", prompt_tokens=128),
        Workload(kind="prefill", prompt_tokens=512),
        Workload(kind="decode", prompt_tokens=128, new_tokens=8),
        Workload(kind="decode", prompt_tokens=128, new_tokens=12, batch=8),
        Workload(kind="decode", prompt_tokens=128, new_tokens=12, batch=32),
    )
}
"""By name."""
QUICK = "stream"
"""Name of the case that measures a single stream with the engine that has generated."""
CASES = ("load", "quantize", *WORKLOADS, "problems")
"""Names of the cases of the whole suite, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contention:
    """What disturbed the machine during a block; None where the system does not tell."""

    duration_s: float
    cores: int = 1
    """Of the machine."""
    others: float | None = None
    """Share of the machine's processor time that processes outside of this one's tree took, 0 to 1."""
    stolen: float | None = None
    """Share of the machine's processor time that the hypervisor gave to others, 0 to 1."""
    frequency: float | None = None
    """Mean clock frequency after the block over that before."""
    throttled: int | None = None
    """How often a core was slowed down because of heat."""

    @property
    def reason(self) -> str:
        """Why the block counts as disturbed, without a full stop; empty for one that was not."""
        found = []
        if self._exceeds(self.others, OTHERS_SHARE):
            found.append(f"other processes took {self.others:.0%} of the machine")
        if self._exceeds(self.stolen, STOLEN_SHARE):
            found.append(f"the hypervisor took {self.stolen:.0%} of the machine")
        if self.frequency is not None and abs(self.frequency - 1) > SLOWED_SHARE:
            found.append(f"the clock frequency changed to {self.frequency:.0%}")
        if self.throttled:
            found.append("cores were slowed down because of heat")
        return ", ".join(found)

    def _exceeds(self, share: float | None, limit: float) -> bool:
        return share is not None and share > max(limit, _RESOLUTION_S / (self.cores * max(self.duration_s, 1e-9)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One recipe's part of a round: a workload, repeated without a pause."""

    round: int
    """From 0; in a round every recipe has one block."""
    seconds: tuple[float, ...]
    """Of each repetition of a prefill, or of each step of decoding."""
    contention: Contention


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingFacts:
    """One workload under one recipe."""

    recipe: str
    workload: Workload
    beside: tuple[str, ...]
    """Other recipes whose blocks lie between these, so that rounds can be compared."""
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEnergyFacts:
    """Energy of the blocks of one workload under one recipe, in the order of `TimingFacts.blocks`."""

    recipe: str
    workload: Workload
    energies: tuple[EnergyFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemTime:
    """One problem, answered alone by the engine."""

    benchmark: str
    task_id: str
    prompt_tokens: int
    new_tokens: int
    ttft_s: float
    tpot_s: float | None
    """Seconds per token after the first; None where there is none."""
    solved: bool | None
    """None where that is not known, as for a completion that ran into the token limit."""
    contention: Contention


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemTimingFacts:
    """Whole problems under one recipe, one after the other."""

    recipe: str
    beside: tuple[str, ...]
    """Other recipes that answered every problem before the next one."""
    problems: tuple[ProblemTime, ...]
