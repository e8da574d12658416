"""What recipes there are, said once: for `--qeval-list recipes` and for `docs/recipes.md`.

python -m pytest_qeval.quantize.guide > docs/recipes.md
"""

from __future__ import annotations

import sys

from pytest_qeval import registry
from pytest_qeval.quantize.builtin import RECIPES
from pytest_qeval.quantize.grammar import describe, parse_recipe

__all__ = ["PARTS", "recipes_page"]

PARTS = (
    ("w8a8", "weights of 8 bits and activations of 8 bits; weights may have 2 to 8, activations 4 to 8"),
    ("w4a16", "weights of 4 bits, activations in floating point"),
    ("-tensor", "one scale for a whole weight; one per output feature (per_channel) is the default"),
    ("-g128", "one scale for every 128 neighbours of an output feature (per_group); the last group may be shorter"),
    ("-mse", "scales that move the weights least; `-p99.9` clips to a percentile, minmax is the default"),
    ("-dynamic-tensor", "one activation scale for all rows at hand; one per token is the default"),
    ("-dynamic-asym", "activation grids from the smallest value to the largest instead of around zero"),
    ("-static", "activation scales per tensor, fixed by calibration: minmax over 128 texts"),
    ("-static-mse", "the same, clipped by mean squared error; `-entropy` and `-p99.9` also work"),
    ("-static-mse-n500", "the same, calibrated on 500 texts"),
    ("+lm_head", "the output layer too, unless it is tied to the embeddings"),
)
"""Parts of a scheme, each with its meaning. What stands before `static` or `dynamic` is about weights."""

_EXAMPLES = ("w8a8", "w8a8-tensor", "w8a8-static-mse", "w4a16-g128", "w3a16-g64-mse", "w8a8-mse-static-p99.9-asym-n64")

_PAGE = """\
# Recipes

This page is made by `python -m pytest_qeval.quantize.guide > docs/recipes.md`, from what `pytest --qeval-list recipes`
prints. Measured results are in [results/recipes.md](results/recipes.md).

## By name

{named}

## By scheme

Any cell of the design space can be written down: `--qeval-recipe w4a16-g128-mse`. Braces make sweeps:
`--qeval-recipe 'w{{8,6,4}}a16'` is three recipes.

{parts}

{examples}

## From a file

Other schemes for other layers go to a TOML file, named by its path: `--qeval-recipe mixed.toml`. Patterns are those of
`fnmatch`; a bare name also matches the last part of a layer's name.

```toml
name = "mixed"
scheme = "w4a16-g128"
kept = ["lm_head", "model.layers.0.*"]

[[layers]]
pattern = "down_proj"
scheme = "w8a16"
```

`pytest --qeval-model=MODEL --qeval-recipe w4a16-g128 --qeval-suite sensitivity` says which blocks are worth more bits.

## By another package

{quantizers}

For instance `--qeval-recipe torchao:Int8DynamicActivationInt8WeightConfig`, `torchao:SmoothQuantConfig(alpha=0.5)` or
`bnb:nf4`. Each is an extra: `pip install 'pytest-qeval[torchao]'`, `'pytest-qeval[bitsandbytes]'`.

## Quantized already

A checkpoint that is quantized already is evaluated with the recipe `as-is`, which is then the default: bitsandbytes,
torchao, compressed-tensors, GPTQ and AWQ, recognised by its config (transformers names the package it needs), and GGUF
files. `--qeval-baseline MODEL` names the model it was made from, to compare with.

## What is computed how

| weights | activations | on a CPU | report |
| --- | --- | --- | --- |
| 2 to 8 bits, one scale per output feature or per tensor | 4 to 8 bits | int8 products, summed in int32 | native |
| 8 bits, one scale per output feature, 16·n inputs | bfloat16, float32 | int8 kernel to 8 rows, then floats | native |
| 4 bits, groups of 32·n, 64·n outputs, AVX-512 | bfloat16, float32 | int4 kernel to 96 rows, then floats | native |
| anything else | anything else | rounded, then computed in floating point | simulated |

Weights of fewer than 8 bits with integer activations are held in 8. Weight-only recipes pay where few rows are decoded
at a time; wide batches and prefill are slower than bfloat16, which has matrix units of its own on new processors. The
report says so beside every recipe that it is true of. On CUDA, integer recipes use `torch._int_mm`; for weight-only
ones take torchao's.

Calibration shows the model `--qeval-calibration` texts (the Python standard library by default) and lets it go on for
32 tokens after each; both are observed. Texts that are problems of the benchmark under test are refused.

`--qeval-export DIR` writes the quantized checkpoint in the compressed-tensors format, which transformers reads with the
package of that name. Loaded again by `--qeval-model=DIR/<recipe>`, it gives the same logits to the last bit. GPT-2's
layers, and groups that do not fill a row, have no place in that format: such an export is for this program alone.
"""


def recipes_page() -> str:
    """Return `docs/recipes.md`."""
    named = [(f"`{name}`", recipe.summary) for name, recipe in RECIPES.items()]
    quantizers = [(f"`{name}:…`", registry.load("quantizers", name).summary) for name in registry.names("quantizers")]
    return _PAGE.format(
        named=_table(("name", "what it does"), named),
        parts=_table(("part", "meaning"), [(f"`{part}`", meaning) for part, meaning in PARTS]),
        examples=_table(("scheme", "in words"), [(f"`{text}`", describe(parse_recipe(text))) for text in _EXAMPLES]),
        quantizers=_table(("prefix", "what it does"), quantizers),
    )


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {first} | {second} |" for first, second in lines)


if __name__ == "__main__":
    sys.stdout.write(recipes_page())
