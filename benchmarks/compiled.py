"""What do the compiled functions save? A prefill and steps of the continuous batch, with them and without, in turns.

    python -m benchmarks.compiled DIR --recipes bf16 int8

Two processes have the same model, one of them with `QEVAL_COMPILED=0`. They take turns, so that an unsteady machine is
fair to both. Lower quartiles of the times are printed, and how far the logits are apart: the root mean square of the
difference, relative to that of the logits themselves. It is 0 where both have the same bits.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch

_PROMPTS, _TOKENS, _CACHED, _CAPACITY = 8, 128, 250, 512
_ROWS = (128, 64, 16, 2)
_PAUSE_S = 0.05
"""Between turns: waiting threads of the other process spin for some milliseconds."""

Work = Callable[[], torch.Tensor]


def works_of(model: str, recipe: str, threads: int) -> dict[str, Work]:
    """Load a model, and return what is timed by name; each gives logits."""
    from pytest_qeval.engines.hf.continuous_batch import batch_model  # noqa: PLC0415 - see serve
    from pytest_qeval.engines.hf.loading import load  # noqa: PLC0415 - see serve
    from pytest_qeval.engines.sources import resolve  # noqa: PLC0415 - see serve
    from pytest_qeval.quantize.lookup import find_recipe  # noqa: PLC0415 - see serve
    from pytest_qeval.settings import ModelSettings  # noqa: PLC0415 - see serve

    loaded = load(resolve(ModelSettings(name=model)), find_recipe(recipe), threads=threads)
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(1000, 30_000, (_PROMPTS, _TOKENS), generator=generator).tolist()
    reader = batch_model(loaded, rows=_PROMPTS)
    prefilled = reader.prefill(prompts)
    works: dict[str, Work] = {"prefill": lambda: torch.stack([one.logits for one in reader.prefill(prompts)])}
    for rows in _ROWS:
        batch = batch_model(loaded, rows=rows)
        for row in range(rows):
            batch.cache.place(row, prefilled[row % _PROMPTS], capacity=_CAPACITY)
        works[f"step of {rows} rows"] = step_of(batch, rows)
    return works


def step_of(batch: Any, rows: int) -> Work:
    """Return a step that can be repeated: it writes to the same columns every time."""
    lengths, tokens = [_CACHED] * rows, [[5]] * rows
    return lambda: batch.advance(lengths, tokens)


def serve(pipe: Connection, compiled: str, model: str, recipe: str, threads: int) -> None:
    """Do what is asked for by name, and answer with the seconds and the logits; None ends it."""
    os.environ["QEVAL_COMPILED"] = compiled  # read when the engine is imported and used, so only now
    works = works_of(model, recipe, threads)
    pipe.send([*works])
    while name := pipe.recv():
        started = time.perf_counter()
        logits = works[name]()
        pipe.send((time.perf_counter() - started, logits[:2].float().numpy()))


@contextmanager
def both(model: str, recipe: str, threads: int) -> Iterator[tuple[list[str], dict[str, Connection]]]:
    """Start both processes, without and with the compiled functions."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    names: list[str] = []
    for compiled in ("0", "1"):
        pipes[compiled], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, compiled, model, recipe, threads), daemon=True).start()
        names = pipes[compiled].recv()
    try:
        yield names, pipes
    finally:
        for pipe in pipes.values():
            pipe.send(None)


def compare(pipes: dict[str, Connection], name: str, rounds: int) -> tuple[float, float, float]:
    """Return the lower quartiles of the seconds without and with, and the relative distance of the logits."""
    times: dict[str, list[float]] = {compiled: [] for compiled in pipes}
    logits: dict[str, torch.Tensor] = {}
    for at in range(rounds + 1):
        for compiled in sorted(pipes, reverse=at % 2 == 1):
            time.sleep(_PAUSE_S)
            pipes[compiled].send(name)
            seconds, found = pipes[compiled].recv()
            logits[compiled] = torch.from_numpy(found)
            times[compiled] += [seconds] if at else []  # the first one packs weights
    without, compiled_s = (sorted(times[compiled])[rounds // 4] for compiled in ("0", "1"))
    distance = (logits["1"] - logits["0"]).norm() / logits["0"].norm()
    return without, compiled_s, float(distance)


def main() -> None:
    """Measure the recipes that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory")
    parser.add_argument("--recipes", nargs="+", default=["bf16", "int8"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=16)
    arguments = parser.parse_args()
    print("| recipe | work | ms without | ms compiled | ratio | logits apart |\n| --- | --- | --- | --- | --- | --- |")
    for recipe in arguments.recipes:
        with both(arguments.model, recipe, arguments.threads) as (names, pipes):
            for name in names:
                without, compiled, distance = compare(pipes, name, arguments.rounds)
                times = f"{without * 1000:.0f} | {compiled * 1000:.0f} | {compiled / without:.2f}"
                print(f"| `{recipe}` | {name} | {times} | {distance:.2g} |", flush=True)


if __name__ == "__main__":
    main()
