"""What does a step cost besides the matrix products? `python benchmarks/overhead.py`: no model is needed.

The model has 24 layers of 64 features, so that its products take next to no time. Steps of the continuous batch are
timed with transformers' own layers and with the engine's (`engines.hf.lean_layers`), in turns, for floating-point and
int8 weights. The logits of both are compared bit by bit.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.forward import CausalBatchModel
from pytest_qeval.engines.hf.invariance import multiply_in_blocks
from pytest_qeval.engines.hf.lean_layers import use_lean_layers
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.builtin import RECIPES

PROMPT = 250
ROUNDS, STEPS = 7, 15


def make(recipe: str, *, lean: bool) -> Any:
    """Make the model as the engine uses it, with transformers' own layers or lean ones."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=24,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    use_grouped_attention(model)
    if lean:
        use_lean_layers(model)
    if recipe != "bf16":
        quantize_(model, RECIPES[recipe])
    multiply_in_blocks(model)
    return model


def milliseconds(batch: CausalBatchModel, rows: int) -> tuple[float, torch.Tensor]:
    """Return the median time of a step, and the last step's logits."""
    times, logits = [], torch.empty(0)
    for _ in range(STEPS):
        started = time.perf_counter()
        logits = batch.advance([PROMPT] * rows, [[5]] * rows)
        times.append(1000 * (time.perf_counter() - started))
    return median(times), logits


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    print("| recipe | rows | own layers, ms a step | lean layers, ms | same bits |\n| --- | --- | --- | --- | --- |")
    for recipe in ("bf16", "int8"):
        for rows in (2, 8, 64):
            batches = [CausalBatchModel(make(recipe, lean=lean), rows=rows) for lean in (False, True)]
            for batch in batches:
                prefilled = batch.prefill([list(range(PROMPT))])[0]
                for row in range(rows):
                    batch.cache.place(row, prefilled, capacity=2 * PROMPT)
                milliseconds(batch, rows)
            found = [[milliseconds(batch, rows) for batch in batches] for _ in range(ROUNDS)]
            own, lean = (median(pair[at][0] for pair in found) for at in (0, 1))
            same = all(torch.equal(*(logits for _, logits in pair)) for pair in found)
            print(f"| {recipe} | {rows} | {own:.1f} | {lean:.1f} | {'yes' if same else 'no'} |", flush=True)


if __name__ == "__main__":
    main()
