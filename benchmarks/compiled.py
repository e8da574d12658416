"""What do the compiled loops save? A prefill and steps of the continuous batch, with the loops and without, in turns.

    python -m benchmarks.compiled DIR --recipes bf16 int8

Both ways take turns in one process, with the same model and the same rows, so that an unsteady machine is fair to both.
Lower quartiles of the times are printed. Both must give the same logits, bit by bit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from pytest_qeval.engines.hf.compiled_layers import Normalization
from pytest_qeval.engines.hf.continuous_batch import batch_model
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops
from pytest_qeval.quantize.kernels.gated import GatedLayer
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings

_PROMPTS, _TOKENS, _CACHED, _CAPACITY = 8, 128, 250, 512


class Switch:
    """Turns the loops of a model on and off."""

    def __init__(self, model: Any) -> None:
        """Note what uses them."""
        modules = list(model.modules())
        self._forwards = [(module, module.forward) for module in modules if _is_compiled(module)]
        fused = {id(module.fused): module.fused for module in modules if hasattr(module, "fused")}
        self._int8 = [(layers, layers.loops) for layers in fused.values()]

    def set(self, *, on: bool) -> None:
        """Turn all loops on, or all off."""
        for module, forward in self._forwards:
            vars(module).pop("forward", None)
            if on:
                module.forward = forward
        for layers, loops in self._int8:
            layers.loops = loops if on else None


def _is_compiled(module: Any) -> bool:
    return isinstance(vars(module).get("forward"), (GatedLayer, Normalization))


def compare(switch: Switch, work: Callable[[], torch.Tensor], rounds: int) -> tuple[float, float]:
    """Return the lower quartiles of the seconds without and with the loops.

    Raises:
        SystemExit: when the results differ.
    """
    times: dict[bool, list[float]] = {False: [], True: []}
    for at in range(rounds):
        found = {}
        for on in (False, True) if at % 2 else (True, False):
            switch.set(on=on)
            started = time.perf_counter()
            found[on] = work()
            times[on].append(time.perf_counter() - started)
        if not torch.equal(found[False], found[True]):
            raise SystemExit("The loops change the logits.")
    without, with_loops = (sorted(times[on])[rounds // 4] for on in (False, True))
    return without, with_loops


def measure(loaded: Loaded, name: str, rounds: int) -> None:
    """Print the rows of one recipe."""
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(1000, 30_000, (_PROMPTS, _TOKENS), generator=generator).tolist()
    switch, model = Switch(loaded.model), batch_model(loaded, rows=_PROMPTS)
    prefilled = model.prefill(prompts)
    show(name, "prefill", *compare(switch, lambda: torch.stack([one.logits for one in model.prefill(prompts)]), rounds))
    for rows in (128, 64, 16, 2):
        batch = batch_model(loaded, rows=rows)
        for row in range(rows):
            batch.cache.place(row, prefilled[row % _PROMPTS], capacity=_CAPACITY)
        lengths, tokens = [_CACHED] * rows, [[5]] * rows
        show(name, f"step of {rows} rows", *compare(switch, step_of(batch, lengths, tokens), rounds))


def step_of(batch: Any, lengths: Sequence[int], tokens: Sequence[Sequence[int]]) -> Callable[[], torch.Tensor]:
    """Return a step that can be repeated: it writes to the same columns every time."""
    return lambda: batch.advance(lengths, tokens)


def show(recipe: str, work: str, without: float, with_loops: float) -> None:
    """Print a row of the table."""
    ratio = f"{with_loops / without:.2f}"
    print(f"| `{recipe}` | {work} | {without * 1000:.0f} | {with_loops * 1000:.0f} | {ratio} |", flush=True)


def main() -> None:
    """Measure the recipes that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory")
    parser.add_argument("--recipes", nargs="+", default=["bf16", "int8"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=16)
    arguments = parser.parse_args()
    if compiled_loops() is None:
        raise SystemExit("There are no compiled loops here: a C compiler is needed, and torch with GNU OpenMP.")
    print("| recipe | work | ms without | ms with the loops | ratio |\n| --- | --- | --- | --- | --- |")
    for name in arguments.recipes:
        source = resolve(ModelSettings(name=arguments.model))
        measure(load(source, find_recipe(name), threads=arguments.threads), name, arguments.rounds)


if __name__ == "__main__":
    main()
