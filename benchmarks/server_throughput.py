"""Compare the tokens per second that the engine of servers gets from llama-server with those of a plain client.

    python -m benchmarks.server_throughput MODEL.gguf --llama-server FILE --out OUT.json

Both send HumanEval's prompts, greedily, with the same stop strings and limits, as many at a time as the server has
slots. The plain client awaits whole answers by `httpx2`, streams nothing, and checks nothing. They take turns,
`--rounds` times, the other one first in every second round, each with a server that has just been started. Time is that
from the first request to the last answer, and tokens are those that the server counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

from pytest_qeval import registry
from pytest_qeval.benchmarks.base import COMPLETION_STOPS, BenchmarkSource
from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.llamacpp.process import LlamaServer, find_program
from pytest_qeval.engines.openai.connection import ask
from pytest_qeval.engines.openai.identity import identify
from pytest_qeval.engines.openai.opening import open_server
from pytest_qeval.engines.openai.request_body import Abilities, call_of
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.settings import GenerationSettings, ServerSettings

_WAIT_S = 600.0


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--llama-server", type=Path)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rates: dict[str, list[float]] = {"engine": [], "plain": []}
    for number in range(args.rounds):
        for name in sorted(rates, reverse=bool(number % 2)):
            tokens, spent_s = _round(args, name)
            rates[name].append(tokens / spent_s)
            print(f"round {number + 1}, {name}: {tokens} tokens in {spent_s:.1f} s, {tokens / spent_s:.1f} a second")
    ratios = [engine / plain for engine, plain in zip(rates["engine"], rates["plain"], strict=True)]
    print(f"engine ÷ plain client: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
    if args.out:
        args.out.write_text(json.dumps({**rates, "ratios": ratios}, indent=2) + "\n", encoding="utf-8")


def _round(args: argparse.Namespace, name: str) -> tuple[int, float]:
    """Return the tokens and seconds of all prompts, by a server of their own."""
    server = LlamaServer(
        find_program(args.llama_server),
        args.model,
        slots=args.slots,
        context_tokens=1024 + args.max_new_tokens,
        threads=args.threads,
        log=None,
    )
    generation = GenerationSettings(max_new_tokens=args.max_new_tokens)
    try:
        if name == "plain":
            bodies = [_body(request, args.model.stem, generation) for request in _requests(args.problems)]
            return asyncio.run(_ask_plainly(server.endpoint, bodies, slots=args.slots))
        return _ask_by_engine(server.endpoint, args, generation)
    finally:
        server.stop()


def _requests(problems: int) -> Sequence[Request]:
    source: BenchmarkSource = registry.load("benchmarks", "humaneval")
    benchmark = source.load(None)
    found = list(benchmark.problems.values())[:problems]
    prompts = [(one.task_id, benchmark.prompt(one, "completion").text) for one in found]
    return [Request(key=task_id, prompt=prompt, stops=COMPLETION_STOPS) for task_id, prompt in prompts]


def _body(request: Request, model: str, generation: GenerationSettings) -> dict[str, object]:
    """Return the request that the engine would send, without streaming."""
    call = call_of(request, 0, model=model, generation=generation, abilities=Abilities(usage=False))
    return {**call.body, "stream": False}


async def _ask_plainly(endpoint: str, bodies: Sequence[dict[str, object]], *, slots: int) -> tuple[int, float]:
    turn = asyncio.Semaphore(slots)
    async with httpx2.AsyncClient(timeout=_WAIT_S, trust_env=False) as client:

        async def tokens(body: dict[str, object]) -> int:
            async with turn:
                response = await client.post(f"{endpoint}/completions", json=body)
            return int(response.raise_for_status().json()["usage"]["completion_tokens"])

        started = time.perf_counter()
        counts = await asyncio.gather(*map(tokens, bodies))
        return sum(counts), time.perf_counter() - started


def _ask_by_engine(endpoint: str, args: argparse.Namespace, generation: GenerationSettings) -> tuple[int, float]:
    settings = ServerSettings(endpoint=endpoint, concurrency=args.slots)
    source = ModelSource(kind="server", name=args.model.stem, endpoint=endpoint)
    identity = ask(settings, identify)
    engine = open_server(source, settings, generation=generation, identity=identity, engine="openai")
    requests = _requests(args.problems)
    try:
        started = time.perf_counter()
        engine.submit(requests)
        done: list[FinishedCompletion | FailedCompletion] = []
        while len(done) < len(requests):
            done += engine.step()
        spent_s = time.perf_counter() - started
        assert all(isinstance(one, FinishedCompletion) for one in done)  # noqa: S101 - a failure would be fast
        return engine.progress.new_tokens, spent_s
    finally:
        engine.close()


if __name__ == "__main__":
    main()
