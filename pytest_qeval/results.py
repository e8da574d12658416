"""What a session concludes, frozen: facts about recipes, results per benchmark, comparisons, gate results.

A `Summary` is a pure function of the run header, the facts and the records; every report is a rendering of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pytest_qeval.schema import Json, Quantity, quantity_to_dict

__all__ = [
    "BenchmarkResult",
    "BlockSensitivity",
    "Comparison",
    "ControlExcess",
    "Efficiency",
    "EnergyFacts",
    "Evidence",
    "GateResult",
    "GenerationFacts",
    "Percentiles",
    "RecipeFacts",
    "Role",
    "RunHeader",
    "SensitivityFacts",
    "StreamFacts",
    "Summary",
]

Role = Literal["baseline", "candidate", "control"]
Evidence = Literal["worse", "not worse", "unproven"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """Who ran what, where: the report's `run` before the counts are known."""

    id: str
    started_at: str
    """ISO 8601, UTC."""
    command: str
    model: Json
    engine: str
    generation: Json
    versions: Json
    host: Json
    sandbox: str
    baseline_model: Json | None = None
    """The model that the baseline is, where it is another one."""
    saved_baseline: Json | None = None
    """Where the baseline was read from instead of being run: path, started_at, host, differences that were accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFacts:
    """What a recipe did to the model, known once it is loaded; None where an engine cannot know."""

    name: str
    role: Role
    summary: str
    scheme: str | None = None
    """`W8A8` and the like; None for full precision and for replays."""
    weights: Json | None = None
    activations: Json | None = None
    kept: tuple[str, ...] = ()
    execution: Literal["native", "simulated", "full precision", "replay"] = "replay"
    dtype: str | None = None
    device: str | None = None
    decoding: str | None = None
    """`continuous batch`, or plain `generate` and why."""
    batch_size: int | None = None
    """Rows that are decoded together."""
    parameters: int | None = None
    quantized_layers: int | None = None
    quantized_share: float | None = None
    """Share of the parameters that were quantized, 0 to 1."""
    model_bytes: int | None = None
    bits_per_weight: float | None = None
    load_s: float | None = None
    quantize_s: float | None = None
    """Of rounding the weights, calibration not included."""
    quantize_peak_bytes: int | None = None
    """Highest resident size of the process while the weights were rounded, the model included."""
    calibration: Json | None = None
    """What static activations were observed on: source, texts_sha256, seed, samples, tokens, duration_s."""
    layers: tuple[Json, ...] = ()
    """Every linear layer: name, shape, bits, granularity, kept, bytes_before, bytes_after, execution."""
    disk_bytes: int | None = None
    """Of the exported checkpoint's weight files; None where nothing was exported."""
    notes: tuple[str, ...] = ()
    """What a reader of the speed has to know, such as why there is no speed-up."""

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> RecipeFacts:
        """Read what `asdict` wrote, perhaps through JSON."""
        return cls(**{**row, **{name: tuple(row[name]) for name in ("kept", "layers", "notes")}})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFacts:
    """Energy of a recipe's generation; `undefined` says why there is none."""

    energy_wh: float | None = None
    emissions_g: float | None = None
    """Grams of CO2 equivalent."""
    provenance: Literal["measured", "estimated"] | None = None
    """measured: read from counters. estimated: from a power model."""
    method: str = ""
    """Where the numbers come from, such as `cpu: load × TDP; ram: constant; grid: world average`."""
    undefined: str = ""

    @classmethod
    def total(cls, parts: Sequence[EnergyFacts]) -> EnergyFacts:
        """Add up stretches of generation; one that could not be metered makes the total undefined."""
        if not parts:
            return cls(undefined="nothing was generated")
        undefined = next((part for part in parts if part.undefined), None)
        return undefined or cls(
            energy_wh=sum(part.energy_wh or 0.0 for part in parts),
            emissions_g=sum(part.emissions_g or 0.0 for part in parts),
            provenance=parts[0].provenance,
            method=parts[0].method,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFacts:
    """What generating cost one worker, known when a recipe's engine is closed."""

    recipe: str
    worker: str
    busy_s: float
    new_tokens: int
    prompt_tokens: int
    peak_memory_bytes: int | None
    """Highest resident size of the process while the recipe was loaded; None where the system does not tell."""
    energy: EnergyFacts

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> GenerationFacts:
        """Read what `asdict` wrote, perhaps through JSON."""
        return cls(**{**row, "energy": EnergyFacts(**row["energy"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """A single stream measured on its own: one prompt, then one token after the other."""

    recipe: str
    prompt_tokens: int
    new_tokens: int
    prefill_s: tuple[float, ...]
    """One value a round."""
    decode_s: tuple[float, ...]
    """Seconds per token, one value a token, all rounds."""

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> StreamFacts:
        """Read what `asdict` wrote, perhaps through JSON."""
        return cls(**{**row, "prefill_s": tuple(row["prefill_s"]), "decode_s": tuple(row["decode_s"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSensitivity:
    """What quantizing one block alone does to the model."""

    name: str
    layers: int
    """Linear layers of the block that were quantized."""
    kl: float
    """Mean Kullback-Leibler divergence from the untouched model, nats per token."""
    same_top1: float
    """Share of tokens whose most likely choice stayed the same, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityFacts:
    """A model's blocks under one recipe, each quantized alone; the most sensitive first."""

    recipe: str
    texts: int
    tokens: int
    """Solution tokens over which the divergence is a mean."""
    duration_s: float
    blocks: tuple[BlockSensitivity, ...]

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> SensitivityFacts:
        """Read what `asdict` wrote, perhaps through JSON."""
        return cls(**{**row, "blocks": tuple(BlockSensitivity(**block) for block in row["blocks"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Spread of a latency, in seconds."""

    p50: float
    p90: float
    p99: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """One recipe on one benchmark."""

    benchmark: str
    recipe: str
    solved: tuple[str, ...]
    """Labels of the cases with at least one passing sample, in the plan's order."""
    unsolved: tuple[str, ...]
    missing: int
    """Planned cases without a record: a lost worker, a harness fault, an interruption."""
    pass_at: Mapping[int, Quantity]
    failures: Mapping[str, int]
    """Unsolved cases by their first sample's status."""

    @property
    def received(self) -> int:
        """Number of cases with a record."""
        return len(self.solved) + len(self.unsolved)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlExcess:
    """A candidate's flips beside those of the baseline's own second run."""

    flips: int
    """Problems whose outcome under the candidate is not the baseline's."""
    control_flips: int
    """Problems whose outcome changed when the baseline was run again."""
    shared: int
    """Problems that are both."""
    excess: Quantity
    """Share of problems that the candidate flips, minus the share that the control flips."""
    p: float
    """Exact McNemar test on the two kinds of flips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A candidate against the baseline on one benchmark, over the cases that both finished."""

    benchmark: str
    recipe: str
    baseline: str
    delta: Quantity
    """Candidate minus baseline pass@1, as a fraction."""
    relative_drop: Quantity
    """Lost share of the baseline's pass@1, as a fraction."""
    regressed: tuple[str, ...]
    fixed: tuple[str, ...]
    mcnemar_p: float
    mcnemar_p_adjusted: float
    """Benjamini-Hochberg over all candidates and benchmarks of the run."""
    odds_ratio: Quantity
    """Regressed to fixed problems."""
    evidence: Evidence
    margin: float
    """The loss of pass@1 that the evidence is about, as a fraction."""
    detectable_drop: float | None
    """The smallest loss that so many problems could have proved not to be there, with as many flips as there were."""
    excess: ControlExcess | None = None
    """Where a control was run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """What a recipe costs; None and empty where nothing was measured."""

    recipe: str
    ttft_s: Percentiles | None
    tpot_s: Percentiles | None
    """Time per output token after the first, of completions that shared a batch."""
    duration_s: Percentiles | None
    throughput: float | None
    """Generated tokens per second of engine time, whole batch."""
    new_tokens: int
    busy_s: float
    peak_memory_bytes: int | None
    model_bytes: int | None
    energy: EnergyFacts
    wh_per_solved: float | None
    prefill_s: Percentiles | None
    decode_s: Percentiles | None
    """Seconds per token of a single stream, batch 1."""
    stream_prompt_tokens: int | None
    simulated: bool
    """Rounded, then computed in float: every number but `model_bytes` and `new_tokens` is the simulation's."""
    slower: str = ""
    """In which measured ways a native candidate is slower than the baseline; empty where it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate, judged for one recipe (and benchmark)."""

    expression: str
    recipe: str
    benchmark: str | None
    observed: Quantity
    threshold: float
    outcome: Literal["pass", "fail"]
    evidence: Evidence
    reason: str
    """One sentence for a person."""

    def to_dict(self) -> Json:
        """Give the report's form."""
        return {**asdict(self), "observed": quantity_to_dict(self.observed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole session."""

    run: RunHeader
    duration_s: float
    planned: int
    received: int
    candidates: tuple[str, ...]
    """Recipes that gates judge, whether or not they were loaded; at least one."""
    baseline: str | None
    """The recipe that candidates are compared with, if any, whether or not it was loaded."""
    recipes: Mapping[str, RecipeFacts]
    """Those that were loaded."""
    results: tuple[BenchmarkResult, ...]
    comparisons: tuple[Comparison, ...]
    efficiency: Mapping[str, Efficiency]
    benchmarks: Mapping[str, Json] = field(default_factory=dict)
    """Name to version, sha256 and number of problems."""
    sensitivity: Mapping[str, SensitivityFacts] = field(default_factory=dict)
    """By recipe, where it was measured."""
    divergence: Mapping[str, Mapping[str, Quantity]] = field(default_factory=dict)
    """By recipe, where it was measured."""
    decided: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why a recipe was left before all cases of a benchmark were asked."""

    @property
    def missing(self) -> int:
        """Planned cases that never reported."""
        return self.planned - self.received
