"""What is gained where prompts share their beginning: CRUXEval's prompts whole, and with the examples prefilled once.

    python benchmarks/shared_prefix.py MODEL --data DIR --recipes bf16 int8 --problems 64 --rounds 3

Both ways take turns in one process, with the same model. Only prompts are prefilled: each completion has one token.
With `--texts`, both complete the prompts instead, and the number of equal texts is printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.cruxeval.output import load as load_cruxeval
from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.schema import PromptStyle
from pytest_qeval.settings import GenerationSettings, ModelSettings

_ROWS = 128


class Completed(NamedTuple):
    """What one way of prefilling gave."""

    wall_s: float
    cpu_s: float
    texts: dict[str, str]


def requests_of(benchmark: Benchmark, count: int, style: PromptStyle) -> list[Request]:
    """Return what a run asks for the first problems."""
    prompts = [(task_id, benchmark.prompt(one, style)) for task_id, one in benchmark.problems.items()]
    shared, stops = benchmark.shared_text(style), benchmark.stops_in(style)
    return [
        Request(key=task_id, prompt=prompt.text, user=prompt.user, stops=stops, shared=shared)
        for task_id, prompt in prompts[:count]
    ]


def complete(loaded: Loaded, requests: Sequence[Request], new_tokens: int) -> Completed:
    """Complete prompts with a decoder of their own."""
    decoder = make_decoder(loaded, GenerationSettings(max_new_tokens=new_tokens), rows=_ROWS)
    wall, cpu = time.perf_counter(), time.process_time()
    texts: dict[str, str] = {}
    decoder.submit(requests)
    while decoder.progress.finished < decoder.progress.total:
        texts.update({one.key: one.completion.text for one in require_finished(decoder.step())})
    return Completed(time.perf_counter() - wall, time.process_time() - cpu, texts)


def compare(loaded: Loaded, name: str, requests: Sequence[Request], *, rounds: int, new_tokens: int) -> None:
    """Print the times of both ways, and how many texts are equal."""
    codec = loaded.codec
    ids = codec.encode_requests(requests)
    shared = sum(codec.count_shared(request, one) for request, one in zip(requests, ids, strict=True))
    print(f"{name}: {len(requests)} prompts of {sum(map(len, ids))} tokens, of which {shared} are shared", flush=True)
    # no prompt begins with it, so that the template's beginning is not shared either
    ways = {"whole": [replace(one, shared="\0") for one in requests], "shared": list(requests)}
    complete(loaded, ways["whole"][:8], 1)
    complete(loaded, ways["shared"][:8], 1)
    found: dict[str, list[Completed]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in [*ways][:: 1 if number % 2 else -1]:
            found[way].append(complete(loaded, ways[way], new_tokens))
            print(f"  {way:<6} {found[way][-1].wall_s:7.2f} s {found[way][-1].cpu_s:7.2f} CPU s", flush=True)
    pairs = list(zip(found["whole"], found["shared"], strict=True))
    ratios = {
        "by the clock": [one.wall_s / other.wall_s for one, other in pairs],
        "in CPU seconds": [one.cpu_s / other.cpu_s for one, other in pairs],
    }
    for unit, values in ratios.items():
        print(f"  {median(values):.2f} times as fast {unit}, median (from {min(values):.2f} to {max(values):.2f})")
    whole, once = pairs[0][0].texts, pairs[0][1].texts
    print(f"  {sum(once[key] == text for key, text in whole.items())} of {len(whole)} texts are the same")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory, GGUF file, hub id or demo")
    parser.add_argument("--data", type=Path, help="folder with cruxeval.jsonl")
    parser.add_argument("--recipes", nargs="+", default=["bf16", "int8"])
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--style", default="completion", choices=["completion", "chat"])
    parser.add_argument("--texts", type=int, default=1, metavar="N", help="new tokens of each completion")
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def main() -> None:
    """Compare every recipe."""
    args = parse()
    requests = requests_of(load_cruxeval(args.data), args.problems, args.style)
    for name in args.recipes:
        loaded = load(resolve(ModelSettings(name=args.model)), find_recipe(name), threads=args.threads)
        compare(loaded, name, requests, rounds=args.rounds, new_tokens=args.texts)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
