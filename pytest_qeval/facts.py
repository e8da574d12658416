"""What a run finds out besides records, as frozen values: who ran what, what was done to the model, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pytest_qeval.schema import HALF_LABEL, Case, Evidence, Json

Role = Literal["baseline", "candidate", "control"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """The report's `run` before its counts are known: who ran what, where."""

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
    sandbox_limits: str = ""
    """What bounds a whole sandbox: `cgroup`, or why only its processes are bounded; empty outside Linux."""
    conditions: Json = field(default_factory=dict)
    """What completions depend on besides model, generation and versions, such as the class of the device; see
    `EngineSource.conditions`."""
    baseline_model: Json | None = None
    """The baseline's model, where it is another one."""
    saved_baseline: Json | None = None
    """Origin of a baseline that was read: path, started_at, host, engine, accepted_differences, model, versions;
    of two runs that are compared also left_out."""
    energy: Json = field(default_factory=dict)
    """What the user told of the machine's energy: country, power_w, embodied (grams, lifetime_s)."""
    prompt_reason: str = ""
    """Why `generation.prompt_style` was chosen."""
    prompt_doubt: str = ""
    """Why that may be wrong, where it is a guess; empty where it is none."""
    ci: Mapping[str, str] = field(default_factory=dict)
    """`commit` and `url` of the CI job, as far as it says them."""
    resumed: tuple[Json, ...] = ()
    """When the run went on after it was cut short: at, records, earlier_s, cut, changed; see `RunResumed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFacts:
    """What a recipe did to the model, known once it is loaded; None where the engine does not know."""

    name: str
    role: Role
    summary: str
    scheme: str | None = None
    """`W8A8` and the like; None for full precision and for replays."""
    weights: Json | None = None
    activations: Json | None = None
    kept: tuple[str, ...] = ()
    cache: Json | None = None
    """A quantized key/value cache: bits, granularity, symmetric, and where the engine knows them execution, and the
    bytes of one token, token_bytes as packed and held_token_bytes as held. None for one in floating point."""
    execution: Literal["native", "simulated", "full precision", "replay", "server"] = "replay"
    """server: computed elsewhere, in an arithmetic that is not known here."""
    engine: str = ""
    """Who ran it, such as `transformers` or `openai (llama.cpp b9876)`; empty in files of older versions."""
    dtype: str | None = None
    device: str | None = None
    architecture: str | None = None
    """`decoder-only` or `encoder-decoder`."""
    decoding: str | None = None
    """`continuous batch`, or plain `generate` and why."""
    batch_size: int | None = None
    """Rows that are decoded together at most; of a server, requests at a time, None until they are found."""
    batch_dependence: str | None = None
    """Why completions may depend on what else is in the batch, its width or the threads; empty where they do not."""
    parameters: int | None = None
    quantized_layers: int | None = None
    quantized_share: float | None = None
    """Share of the parameters that were quantized, 0 to 1."""
    model_bytes: int | None = None
    bits_per_weight: float | None = None
    load_s: float | None = None
    quantize_s: float | None = None
    """Time of rounding the weights, without calibration."""
    quantize_peak_bytes: int | None = None
    """Highest resident size of the process while the weights were rounded, the model included."""
    calibration: Json | None = None
    """Calibration of static activations: source, texts_sha256, seed, samples, tokens, duration_s."""
    layers: tuple[Json, ...] = ()
    """Every linear layer: name, shape, bits, granularity, kept, bytes_before, bytes_after, execution."""
    disk_bytes: int | None = None
    """Size of the exported weight files; None where nothing was exported."""
    notes: tuple[str, ...] = ()
    """Remarks on the speed, such as why there is no speed-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyFacts:
    """Energy of a recipe's generation; `undefined` says why there is none."""

    energy_wh: float | None = None
    """Of the whole machine, or of what of it has a counter."""
    above_idle_wh: float | None = None
    """Without what the idle machine would have taken; None where idle power is not known."""
    idle_w: float | None = None
    """Power of the idle machine: measured before loading, or by the same model."""
    duration_s: float | None = None
    """Seconds that were metered; of several workers added up."""
    emissions_g: float | None = None
    """Grams of CO2 equivalent; None without codecarbon, which knows the grids."""
    grid_g_per_kwh: float | None = None
    """Carbon intensity of the grid."""
    provenance: Literal["measured", "estimated", "declared"] | None = None
    """measured: read from counters. estimated: from a power model. declared: time × the user's own figure."""
    method: str = ""
    """Where the numbers come from, such as `cpu: load × TDP; ram: constant; grid: world average`."""
    settings: tuple[str, ...] = ()
    """Settings of codecarbon's own that decide a number, each with its source."""
    not_measured: str = ""
    """Why no counter was read, and what to do about it."""
    undefined: str = ""
    stretches: tuple[tuple[float, float], ...] = ()
    """When a worker generated, by the machine's monotonic clock, where another process meters the machine."""

    @classmethod
    def total(cls, parts: Sequence[EnergyFacts]) -> EnergyFacts:
        """Add up stretches of generation; one that could not be metered makes the total undefined."""
        if not parts:
            return cls(undefined="nothing was generated")
        undefined = next((part for part in parts if part.undefined), None)
        stretches = tuple(stretch for part in parts for stretch in part.stretches)
        if undefined:
            return replace(undefined, stretches=stretches)
        sums: Json = {name: _sum(getattr(part, name) for part in parts) for name in ADDED_UP}
        return replace(parts[0], **sums, stretches=())


ADDED_UP = ("energy_wh", "above_idle_wh", "duration_s", "emissions_g")
"""Fields of `EnergyFacts` that are sums over stretches."""


def _sum(values: Iterable[float | None]) -> float | None:
    """Add up; None where one is not known."""
    found = list(values)
    return None if None in found else sum(value or 0.0 for value in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFacts:
    """Costs of one worker's generation, known when a recipe's engine is closed."""

    recipe: str
    worker: str
    busy_s: float
    new_tokens: int
    prompt_tokens: int
    prefill_s: float = 0.0
    """Part of `busy_s` in which prompts were read."""
    decode_s: float = 0.0
    """Part of `busy_s` in which tokens were generated; 0 in files of older versions."""
    peak_memory_bytes: int | None
    """Highest resident size of the process while the recipe was loaded; None where the system does not report it."""
    energy: EnergyFacts
    drafted: bool = False
    """Whether the baseline's completions were drafts, so that all costs here are of another way of generating."""
    contended: str = ""
    """What disturbed the machine meanwhile; empty where nothing did."""
    batch_size: int | None = None
    """As in `RecipeFacts`, at the end: how many requests at a time a server is worth, or fewer where memory ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFacts:
    """What a process did when, in equal buckets; the time that no phase has went into everything else."""

    worker: str
    begun_s: float
    """By the machine's monotonic clock."""
    bucket_s: float
    phases: Mapping[str, tuple[float, ...]]
    """Seconds of each bucket, by phase: loading, prefill, decode, measuring, programs (waiting for them)."""
    new_tokens: tuple[int, ...]
    """Tokens generated in each bucket."""
    cases: int
    """How many cases the process has evaluated."""


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
    contended: str = ""
    """What disturbed the machine meanwhile; empty where nothing did."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """How a gate ended for one recipe and benchmark before the last case was run."""

    gate: str
    """The gate's expression."""
    recipe: str
    benchmark: str
    outcome: Literal["pass", "fail"]
    evidence: Evidence
    reason: str
    """One sentence for a person, without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkFacts:
    """Which problems a benchmark has."""

    name: str
    version: str
    sha256: str
    """Of the data."""
    problems: int
    excluded: Mapping[str, str] = field(default_factory=dict)
    """Task ids of the problems that are left out, with the reason."""
    scored: bool = False
    """Whether completions are scored against a reference instead of executed."""
    clusters: Mapping[str, str] = field(default_factory=dict)
    """What problems share with others, by task id; without those that stand alone."""
    covers: tuple[str, ...] = ()
    """Benchmarks with the same problems, judged no more strictly; pooled, such a problem counts here only."""
    infilling: str = ""
    """Template of the `InfillingForm`; empty where completions end programs, or no model is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbationFacts:
    """What a perturbation did to a benchmark's problems; counts are of problems × seeds."""

    benchmark: str
    name: str
    category: str
    level: str
    form: Literal["full", "half"]
    """Which prompt was perturbed: half gives the first half of the solution as well."""
    seeds: int
    applied: int
    unchanged: int
    """Problems in which there was nothing to perturb."""
    repeated: int
    """Prompts that another seed had already made."""
    invalid: int
    """Where the perturbed problem's own solution does not pass."""
    reasons: Mapping[str, str]
    """By label of an invalid case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFields:
    """Base of values that hold the fields of a case beside others."""

    benchmark: str
    task_id: str
    perturbation: str | None
    seed: int
    half: bool = False

    @property
    def case(self) -> Case:
        """The case alone; older files have the label of a nominal case with half of its solution as a perturbation."""
        old = self.perturbation == HALF_LABEL
        return Case(
            benchmark=self.benchmark,
            task_id=self.task_id,
            perturbation=None if old else self.perturbation,
            seed=self.seed,
            half=self.half or old,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidCase(CaseFields):
    """A perturbed case whose own solution does not pass: no recipe is evaluated on it."""

    reason: str
