"""How much of the full divergence the k likeliest tokens and their tail show, and how large the kept scores are.

python benchmarks/divergence.py --model MODEL --candidate w4a16-g128 --benchmark humaneval --limit 40
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from collections.abc import Sequence
from typing import Any

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.engines.hf import scoring
from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.hf.scoring import score, tokenize_solution
from pytest_qeval.engines.sources import resolve
from pytest_qeval.measure.divergence import causal_logits, compare_logits
from pytest_qeval.measure.divergence_facts import divergence_facts
from pytest_qeval.measure.topk import LEAST_RATIO
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.records.messages import BaselineScores, to_plain
from pytest_qeval.settings import ModelSettings


def full(baseline: Any, candidate: Any, tokenizer: Any, solutions: Sequence[tuple[str, str, str]]) -> dict[str, float]:
    """Return the divergence over the whole vocabulary, in both directions, and the seconds that it took."""
    total, reverse, tokens, started = 0.0, 0.0, 0, time.perf_counter()
    both = [causal_logits(model) for model in (baseline, candidate)]
    for _, prompt, solution in solutions:
        text = tokenize_solution(tokenizer, prompt, solution, 2**31)
        p, q = (logits(text) for logits in both)
        total += compare_logits(p, q).total_kl
        reverse += compare_logits(q, p).total_kl
        tokens += len(text.positions)
    return {"kl": total / tokens, "reverse": reverse / tokens, "tokens": tokens, "s": time.perf_counter() - started}


def truncated(
    baseline: Any, candidate: Any, tokenizer: Any, solutions: Sequence[tuple[str, str, str]], k: int
) -> dict[str, float]:
    """Return the divergence over the k likeliest tokens and the tail, the size of the file, and the seconds."""
    ours = score(baseline, tokenizer, solutions, k=k)
    theirs = score(candidate, tokenizer, solutions, against=ours)
    facts = divergence_facts(ours, theirs, recipe="candidate", baseline_recipe="baseline", benchmark="")
    text = json.dumps(to_plain(BaselineScores.of("baseline", "", ours)), separators=(",", ":")).encode()
    kept = [len(ids) for scores in ours.texts.values() for ids in scores.top_ids]
    tails = [math.exp(value) for scores in ours.texts.values() for value in scores.tail_log_probs]
    return {
        "kl": math.fsum(problem.kl for problem in facts.problems) / facts.tokens,
        "reverse": math.fsum(problem.reverse_kl for problem in facts.problems) / facts.tokens,
        "ids": sum(kept) / len(kept),
        "tail": sum(tails) / len(tails),
        "kB": len(text) / 1000,
        "gz_kB": len(gzip.compress(text)) / 1000,
        "baseline_s": ours.duration_s,
        "candidate_s": theirs.duration_s,
    }


def main() -> None:
    """Print a table: one line a candidate and k."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--baseline", default="auto")
    parser.add_argument("--candidate", action="append")
    parser.add_argument("--benchmark", default="micro")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64])
    parser.add_argument("--ratio", type=float, default=LEAST_RATIO)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    vars(scoring)["LEAST_RATIO"] = args.ratio
    source: BenchmarkSource = registry.load("benchmarks", args.benchmark)
    problems = list(source.load(None).problems.values())[: args.limit]
    solutions = [(problem.task_id, problem.prompt, problem.canonical_solution) for problem in problems]
    model = resolve(ModelSettings(name=args.model))
    baseline = load(model, find_recipe(args.baseline), threads=args.threads)
    for name in args.candidate or ["int8", "w4a16-g128", "w3a16"]:
        candidate = load(model, find_recipe(name), threads=args.threads)
        whole = full(baseline.model, candidate.model, baseline.tokenizer, solutions)
        print(name, "full", {key: f"{value:.5g}" for key, value in whole.items()})
        for k in args.k:
            part = truncated(baseline.model, candidate.model, baseline.tokenizer, solutions, k)
            shares = f"{part['kl'] / whole['kl']:7.2%} of KL, {part['reverse'] / whole['reverse']:7.2%} of reverse"
            print(f"  k = {k:3d}  {shares}", {key: f"{value:.4g}" for key, value in part.items()})


if __name__ == "__main__":
    main()
