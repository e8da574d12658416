"""What a recipe needs of a machine's memory: predicted before loading, and measured in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingShape:
    """How much is decoded at a time."""

    batch_size: int
    """Sequences."""
    context_tokens: int
    """Tokens of each sequence at its end, prompt and completion together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartBytes:
    """A model's bytes by part; scales and packing are those of the recipe."""

    quantized: int = 0
    """Integers of quantized layers."""
    scales: int = 0
    """Scales of quantized layers, zero points included."""
    kept: int = 0
    """Linear layers that stay in floating point, the output layer not among them."""
    embeddings: int = 0
    """Embeddings and the output layer."""
    others: int = 0
    """Norms and biases."""

    @property
    def total(self) -> int:
        """All parts together."""
        return self.quantized + self.scales + self.kept + self.embeddings + self.others


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPrediction:
    """What a recipe is going to need, estimated from shapes alone."""

    recipe: str
    parts: PartBytes
    """Of the model as its scheme packs it."""
    resident_bytes: int
    """Weights as they are held: more than `parts` where quantization is simulated in floating point."""
    cache_token_bytes: int
    """Keys and values of one token, all layers, as the recipe packs them."""
    runtime_bytes: int
    """Python, torch and the tokenizer."""
    shape: DecodingShape
    cache_bytes: int
    """The key/value cache of that shape, as the recipe packs it."""
    working_bytes: int
    """Activations, logits and unpacked weights of a step."""
    loading_bytes: int
    """Peak of the process while loading and quantizing."""
    decoding_bytes: int
    """Peak of the process while decoding that shape."""
    held_cache_bytes: int = 0
    """The cache as it is held: more than `cache_bytes` where it is quantized, which is simulated; 0 in older files."""
    longest_context: int | None = None
    """Tokens of a single sequence that fit in the budget, at most the model's positions; 0 where none do."""
    widest_batch: Mapping[str, int] = field(default_factory=dict)
    """Sequences that fit in the budget, by tokens of context."""
    notes: tuple[str, ...] = ()
    """What the estimate leaves out, or takes for something else."""

    @property
    def model_bytes(self) -> int:
        """The model as its scheme packs it."""
        return self.parts.total

    @property
    def peak_bytes(self) -> int:
        """Peak of the process."""
        return max(self.loading_bytes, self.decoding_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseMemory:
    """Resident memory of a process during one phase."""

    peak_bytes: int
    """The kernel's high-water mark, or the largest sample where it has none."""
    private_bytes: int
    """Anonymous pages at the largest sample."""
    mapped_bytes: int
    """Pages of mapped files at the largest sample, which the kernel gives up for others."""
    shared_bytes: int
    """Shared memory at the largest sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFacts:
    """Memory of one recipe, measured in a fresh process."""

    recipe: str
    shape: DecodingShape
    """What was decoded."""
    runtime_bytes: int
    """Resident before the model was loaded: Python, torch and this package."""
    loading: PhaseMemory
    quantizing: PhaseMemory | None
    """None where nothing is quantized."""
    decoding: PhaseMemory
    model_bytes: int
    """As in `RecipeFacts.model_bytes`."""
    files_bytes: int
    """Weight files that were read."""
    cache_bytes: int | None
    """Tensors of the key/value cache; None where `generate` keeps them."""
    device_peak_bytes: int | None
    """Peak of the CUDA allocator; None on a CPU."""
    duration_s: float
    simulated: bool = False
    """Whether weights or cache are rounded but held and computed in floating point: the peak is not the recipe's."""
    predicted: MemoryPrediction | None = None

    @property
    def peak_bytes(self) -> int:
        """Peak of the process over all phases."""
        phases = (self.loading, self.quantizing, self.decoding)
        return max(phase.peak_bytes for phase in phases if phase is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFacts:
    """A recipe under `--qeval-ram-budget`, before it was loaded."""

    recipe: str
    budget_bytes: int
    """Of this process: a worker has its share."""
    predicted: MemoryPrediction
