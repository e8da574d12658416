"""Groups of settings that the parts of the program take, and the names that options accept.

`config.run_settings.RunSettings` holds all of them for a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pytest_qeval.schema import PromptStyle

IsolationName = Literal["auto", "bwrap", "namespace", "landlock", "process"]
PromptName = Literal["auto", "completion", "chat", "chat-prefilled"]
PROMPTS: tuple[PromptName, ...] = get_args(PromptName)
CONTROL = "control"
"""Name of the baseline's second run."""
ISOLATIONS: tuple[IsolationName, ...] = get_args(IsolationName)
SANDBOX_GAPS: Mapping[str, str] = {
    "landlock": "programs can find out which processes and files exist, and how large those are",
    "process": "programs are kept from files, network and processes only as far as this system can do so without "
    "namespaces, which is not at all outside Linux: nothing may be lost by them",
}
"""What programs may still do in the sandboxes without namespaces; docs/security.md has the whole list."""

SUITES = (
    "memory",
    "divergence",
    "humaneval",
    "mbpp",
    "micro",
    "summarization",
    "robustness",
    "efficiency",
    "sensitivity",
)
"""In the order in which they run."""
MORE_SUITES = (
    "codesearchnet",
    "cruxeval-input",
    "cruxeval-output",
    "humaneval-js",
    "humaneval-plus",
    "infilling-multi-line",
    "infilling-random-span",
    "infilling-single-line",
    "mbpp-all",
    "mbpp-function",
    "mbpp-plus",
    "mbpp-sanitized",
)
"""Those that `all` leaves out, for their size, or because they are other editions of the same problems."""
INFILLING = tuple(name for name in MORE_SUITES if name.startswith("infilling-"))
"""Suites whose completions stand in the middle of programs; no chat message asks for them."""


def file_stem(recipe: str) -> str:
    """Spell a recipe's name so that any file system takes it: `torchao_Int8WeightOnlyConfig`."""
    return re.sub(r"[^\w.+-]+", "_", recipe).lstrip(".") or "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSettings:
    """How completions are generated; part of what makes two runs comparable."""

    n_samples: int = 1
    temperature: float = 0.0
    """0.0 is greedy decoding."""
    top_p: float = 1.0
    max_new_tokens: int = 512
    seed: int = 0
    prompt_style: PromptStyle = "completion"
    """How prompts are formatted; settled before a model is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server with OpenAI's interface is asked."""

    endpoint: str
    """Base address, such as `http://localhost:8080/v1`."""
    concurrency: int | None = None
    """Requests at a time, of all processes together; None takes the server's slots, or searches."""
    processes: int = 1
    """How many processes send requests."""
    key_variable: str | None = None
    """Name of the environment variable that holds the key; the key itself is in no settings."""
    patience_s: float = 300.0
    """How long nothing may come before a request is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaSettings:
    """How llama-server is started."""

    program: Path | None = None
    """None looks into `PATH`."""
    slots: int | None = None
    """Requests at a time, of all processes together; None for the engine's choice."""
    processes: int = 1
    """How many processes start one."""
    logs: Path | None = None
    """Folder for its output; None drops it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSettings:
    """How vLLM is started."""

    tensor_parallel: int = 1
    """Devices that share each layer."""
    pipeline_parallel: int = 1
    """Groups of these devices, each with a part of the layers."""
    executor: Literal["mp", "ray"] | None = None
    """Processes of this machine, or Ray's on several; None leaves that to vLLM."""
    memory_share: float | None = None
    """Part of the memory of each GPU, or of a machine without one, above 0 and at most 1; None for vLLM's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Which model, who runs it, and where."""

    name: str
    """Hub id, directory, GGUF file or `demo`, as the user wrote it; or the name that a server gives the model."""
    revision: str | None = None
    engine: str = "transformers"
    device: str = "auto"
    place: int = 0
    """Number of this process among those that share the run: which GPU is its own, where `device` names none."""
    threads: int | None = None
    """CPU threads of the engine; None leaves torch's own choice. Under xdist an equal share."""
    memory_bytes: int | None = None
    """This process's share of the memory under xdist; None for whatever is free."""
    batch_size: int | None = None
    """Rows of the decoding batch; None lets the engine choose by device and free memory."""
    remote_code: bool = False
    """Whether classes that come with the model may be imported, which runs their code."""
    server: ServerSettings | None = None
    """How servers of this run are asked; None where there are none."""
    llama: LlamaSettings | None = None
    """None for other engines than llama.cpp."""
    vllm: VllmSettings | None = None
    """None for other engines than vLLM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embodied:
    """Emissions of making the machine, spread over its life."""

    grams: float
    """Of CO2 equivalent."""
    lifetime_s: float

    def share_g(self, duration_s: float) -> float:
        """Return the grams of some time, as in M = TE × TS of the SCI specification (ISO/IEC 21031:2024)."""
        return self.grams * duration_s / self.lifetime_s


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergySettings:
    """What the user knows about the machine's energy."""

    country: str | None = None
    """ISO 3166-1 alpha-3 code of the grid; None leaves that to codecarbon."""
    power_w: float | None = None
    """Power of the machine under load, as the user measured it; None for counters or a model."""
    embodied: Embodied | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSettings:
    """What recipes with static activations are calibrated on."""

    source: str = "stdlib"
    """`stdlib`, a JSONL file, or a hub data set; how much of it is the recipe's affair."""
    allow_overlap: bool = False
    """Whether texts may be those of the benchmark under test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSettings:
    """How programs are executed."""

    isolation: IsolationName = "auto"
    timeout_s: float = 5.0
    memory_bytes: int = 1024 * 2**20
    workers: int = 2
