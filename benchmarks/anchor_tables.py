"""The tables of `anchors.py`."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import combinations

from benchmarks.anchor_processes import Answer

Runs = Sequence[tuple[str, int, Answer]]
"""Engine, round, and what it took."""


def print_completions(job: Answer, made: Runs) -> None:
    """Print what completing the job's prompts took every engine, and how many texts are equal."""
    print(f"{len(job['prompts'])} prompts, {'' if job['exact'] else 'at most '}{job['max_new_tokens']} new tokens")
    print_head(
        *("engine, round", "start s", "generation s", "both s", "CPU s of generation", "useful tokens", "tokens/s"),
        *("tokens/CPU s", "peak MiB", "versions"),
    )
    for name, number, run in made:
        start, cost, tokens = run["start"], run["cost"], run["useful_tokens"]
        seconds = (start["wall_s"], cost["wall_s"], start["wall_s"] + cost["wall_s"], cost["cpu_s"])
        speeds = (f"{tokens / cost[clock]:.1f}" for clock in ("wall_s", "cpu_s"))
        peak = f"{run['peak_bytes'] / 2**20:.0f}"
        print_row(f"{name}, {number}", *(f"{one:.1f}" for one in seconds), tokens, *speeds, peak, run["versions"])
    texts = {name: run["texts"] for name, number, run in made if number == 1}
    for one, other in combinations(texts, 2):
        same = sum(a == b for a, b in zip(texts[one], texts[other], strict=True))
        print(f"same text, {one} and {other}: {same}/{len(texts[one])} ({same / len(texts[one]):.1%})")
    print(flush=True)


def print_streams(job: Answer, made: Runs) -> None:
    """Print the speed of a single stream by every engine: means, as llama-bench gives no single tokens' times."""
    print(f"one stream: a prompt of {job['prompt_tokens']} tokens, then {job['new_tokens']} new ones")
    print_head("engine, round", "prefill tokens/s", "decode tokens/s")
    for name, number, run in made:
        prefill = job["prompt_tokens"] / statistics.mean(run["prefill_s"])
        print_row(f"{name}, {number}", f"{prefill:.1f}", f"{1 / statistics.mean(run['decode_s']):.1f}")
    print(flush=True)


def print_head(*titles: str) -> None:
    """Print the head of a Markdown table."""
    print(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")


def print_row(*cells: object) -> None:
    """Print a row of it."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
