"""Compare recipes on one model in one run: distance from the baseline, HumanEval, speed and size.

    python benchmarks/recipes.py ~/models/Qwen2.5-Coder-0.5B-Instruct

Every recipe is loaded beside the baseline (`auto`, the checkpoint's own precision), measured and released. Timed rounds
run baseline and recipe in turns, and ratios are computed per round, so that a slow moment affects both.
On Linux, `nice` does not keep other sessions off the cores (autogroup): measure on an idle machine, or give the run a
group of its own, as in `setsid -w sh -c 'echo -15 > /proc/self/autogroup; exec python benchmarks/recipes.py MODEL'`.
Speeds of simulated recipes are not measured: they are not the recipe's.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.measure.divergence import Divergence, ScoredText, causal_logits, compare_logits, solution_text
from pytest_qeval.quantize.corpus import calibration_texts
from pytest_qeval.quantize.grammar import expand_braces
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ExecutionSettings, GenerationSettings, ModelSettings

BASELINE = "auto"
CONTEXT_TOKENS = 128
RECIPES = (
    *("fp32", "bf16", "w8a8", "w8a8-tensor", "w8a8-dynamic-tensor", "w8a8-dynamic-asym"),
    *("w8a8-static", "w8a8-static-mse", "w8a8-static-entropy", "w8a8-static-p99"),
    *("w8a8-static-mse-n1", "study-static", "study-dynamic"),
    *("w8a{6,4}", "w{8,6}a16", "w{4,3,2}a16-g128", "w{4,3}a16-g128-mse", "w4a16", "w8a8+lm_head"),
    *("torchao:Int8DynamicActivationInt8WeightConfig", "torchao:SmoothQuantConfig", "bnb:nf4"),
)
"""Without `bnb:int8` and torchao's AWQ, which take longer than all others together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A decoding or prefill workload to be timed."""

    title: str
    batch: int
    tokens: int
    rounds: int
    decodes: bool


WORKLOADS = (
    Workload(title="decode B=1", batch=1, tokens=CONTEXT_TOKENS, rounds=21, decodes=True),
    Workload(title="decode B=16", batch=16, tokens=CONTEXT_TOKENS, rounds=7, decodes=True),
    Workload(title="prefill 1×512", batch=1, tokens=512, rounds=3, decodes=False),
)
WIDE_WORKLOADS = (
    Workload(title="decode B=64", batch=64, tokens=CONTEXT_TOKENS, rounds=7, decodes=True),
    Workload(title="prefill 8×128", batch=8, tokens=128, rounds=5, decodes=False),
)
Round = Callable[[], float]
"""Run once and return milliseconds."""


class Bench:
    """The baseline, and the texts and problems on which recipes are compared with it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Load the baseline and compute its logits."""
        self.arguments = arguments
        self.workloads = WORKLOADS + (WIDE_WORKLOADS if arguments.wide else ())
        self.source = resolve(ModelSettings(name=arguments.model))
        self.humaneval: Benchmark = registry.load("benchmarks", "humaneval").load(None)
        self.pool = SandboxPool(ExecutionSettings())
        self.baseline = self.load(BASELINE)
        self.texts = list(self._texts(arguments.divergence))
        self.logits = list(_logits(self.baseline, self.texts))
        tokens = [token for text in self._texts(164) for token in text.token_ids]
        self.code = torch.tensor(tokens)

    def load(self, name: str) -> Loaded:
        """Load and quantize."""
        recipe = find_recipe(name)
        plan = recipe.calibration
        texts = plan and calibration_texts("stdlib", samples=plan.samples, characters=plan.characters, seed=0)
        return load(self.source, recipe, threads=self.arguments.threads, texts=texts or None)

    def _texts(self, limit: int) -> Iterator[ScoredText]:
        """Yield HumanEval's prompts with their canonical solutions, whose tokens are scored."""
        for problem in list(self.humaneval.problems.values())[:limit]:
            yield solution_text(*self.baseline.tokenizer([problem.prompt, problem.canonical_solution]).input_ids)

    def divergence(self, loaded: Loaded) -> Divergence:
        """Compare next-token distributions with the baseline's."""
        pairs = zip(self.logits, _logits(loaded, self.texts), strict=True)
        return Divergence.total(compare_logits(*pair) for pair in pairs)

    def solved(self, loaded: Loaded) -> int:
        """Count the problems that are solved, greedily."""
        problems = list(self.humaneval.problems.values())[: self.arguments.problems]
        batch = make_decoder(loaded, GenerationSettings(), rows=128)
        requests = [Request(key=p.task_id, prompt=p.prompt, stops=self.humaneval.stops) for p in problems]
        batch.submit(requests)
        futures = []
        while batch.progress.finished < batch.progress.total:
            for one in require_finished(batch.step()):
                program = self.humaneval.program(self.humaneval.problems[one.key], one.completion.text)
                futures.append(self.pool.submit(program))
        return sum(future.result().status == "passed" for future in futures)

    @torch.inference_mode()
    def race(self, loaded: Loaded, workload: Workload) -> list[tuple[float, float]]:
        """Time baseline and recipe in turns, in milliseconds; the first round is a warm-up."""
        ids = self.code[: workload.batch * workload.tokens].reshape(workload.batch, workload.tokens)
        prepare = _decoding if workload.decodes else _prefilling
        theirs, ours = prepare(self.baseline.model, ids), prepare(loaded.model, ids)
        return [(theirs(), ours()) for _ in range(workload.rounds + 1)][1:]


def _logits(loaded: Loaded, texts: Sequence[ScoredText]) -> Iterator[torch.Tensor]:
    return map(causal_logits(loaded.model), texts)


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _decoding(model: Any, ids: torch.Tensor) -> Round:
    """Prepare greedy decoding after `ids` `[batch, tokens]`; every round is one step, the context grows."""
    cache = transformers.DynamicCache(config=model.config)
    state = {"next": _greedy(model, ids, cache)}

    def step() -> None:
        state["next"] = _greedy(model, state["next"], cache)

    return lambda: _timed(step)


def _prefilling(model: Any, ids: torch.Tensor) -> Round:
    """Prepare the prefill of `ids` into a new cache."""
    return lambda: _timed(lambda: _greedy(model, ids, transformers.DynamicCache(config=model.config)))


def _greedy(model: Any, ids: torch.Tensor, cache: Any) -> torch.Tensor:
    chosen: torch.Tensor = model(ids, past_key_values=cache, logits_to_keep=1).logits.argmax(-1)
    return chosen


def speeds(bench: Bench, loaded: Loaded) -> Mapping[str, str]:
    """Return each workload's ratio to the baseline, and the median time."""
    if loaded.quantization.execution == "simulated":
        return dict.fromkeys((workload.title for workload in bench.workloads), "–")
    cells = {}
    for workload in bench.workloads:
        times = bench.race(loaded, workload)
        ratio = statistics.median(theirs / ours for theirs, ours in times)
        cells[workload.title] = f"{ratio:.2f}× ({statistics.median(ours for _, ours in times):.0f} ms)"
    return cells


def cells(bench: Bench, name: str, loaded: Loaded) -> Mapping[str, str]:
    """Return one row of the table, by column."""
    done = loaded.quantization
    simulated = " (packed)" if done.execution == "simulated" else ""
    divergence = bench.divergence(loaded)
    problems = bench.arguments.problems
    calibrating = f" + {loaded.calibration.duration_s:.0f} s" if loaded.calibration else ""
    return {
        "recipe": f"`{name}`",
        "execution": done.execution,
        f"KL to {BASELINE}": f"{divergence.mean_kl:.4f}",
        "same top-1": f"{divergence.same_top1:.3f}",
        **({f"HumanEval, first {problems}": f"{bench.solved(loaded)}/{problems}"} if problems else {}),
        **speeds(bench, loaded),
        "model": f"{loaded.model_bytes / 2**20:.0f} MiB{simulated}",
        "bits per weight": f"{8 * loaded.model_bytes / done.parameters:.1f}",
        "quantized layers' bytes": f"{done.bytes_after / done.bytes_before:.1%}" if done.bytes_before else "–",
        "quantizing": f"{done.duration_s:.1f} s{calibrating}" if done.layers else "–",
        "peak": f"{(loaded.quantize_peak_bytes or 0) / 2**30:.2f} GiB",
    }


def describe_host() -> str:
    """Describe the machine and the versions."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    return (
        f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    )


def main() -> None:
    """Print one row of the table per recipe, as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory of a Hugging Face causal language model")
    parser.add_argument("--divergence", type=int, default=40, help="HumanEval problems for the divergence")
    parser.add_argument("--problems", type=int, default=60, help="HumanEval problems to solve; 0 for none")
    parser.add_argument("--wide", action="store_true", help="time wide batches too")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    arguments = parser.parse_args()
    transformers.logging.disable_progress_bar()
    bench = Bench(arguments)
    tokens = sum(logits.shape[0] for logits in bench.logits)
    print(f"{Path(arguments.model).name} on {describe_host()}.")
    print(f"KL (nats) and top-1 over {tokens} solution tokens of {len(bench.texts)} HumanEval problems; decoding")
    print(f"after {CONTEXT_TOKENS} tokens; (×) is the speed relative to `{BASELINE}`.\n")
    names = [name for given in arguments.recipes for name in expand_braces(given)]
    for name in (BASELINE, *names):
        row = cells(bench, name, bench.baseline if name == BASELINE else bench.load(name))
        if name == BASELINE:
            print(f"| {' | '.join(row)} |\n|{' --- |' * len(row)}")
        print(f"| {' | '.join(row.values())} |", flush=True)
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)  # or the heap keeps a model's worth of pages per recipe
    bench.pool.close()


if __name__ == "__main__":
    main()
