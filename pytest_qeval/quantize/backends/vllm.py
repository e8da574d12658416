"""`vllm:<method>`: what vLLM rounds while it loads a checkpoint in floating point, for `--qeval-engine vllm` only.

Checkpoints that are quantized already (AWQ, GPTQ, FP8, compressed-tensors) need no name: vLLM reads it in their config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from pytest_qeval.errors import RecipeError, did_you_mean
from pytest_qeval.quantize.quantization import LayerRecord, Quantizer
from pytest_qeval.quantize.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

NAME = "vllm"
METHODS: Mapping[str, str] = {
    "fp8_per_tensor": "FP8 weights, one scale a tensor",
    "fp8_per_channel": "FP8 weights, one scale an output channel; activations per token",
    "fp8_per_block": "FP8 weights, one scale a block of 128 × 128",
    "mxfp8": "MXFP8 weights and activations, one scale a block of 32",
    "mxfp4": "MXFP4 weights, one scale a block of 32",
    "int8_per_channel_weight_only": "int8 weights of experts, one scale a channel; other layers are left as they are",
    "nvfp4_per_token": "NVFP4 weights of experts; other layers are left as they are",
}
"""vLLM 0.32's names of online quantization (`vllm.config.quantization`)."""


def _recipe(config: str) -> Recipe:
    if config not in METHODS:
        raise RecipeError(
            f"vLLM has no quantization {config!r} that it applies while loading. {did_you_mean(config, METHODS)}"
            f"Available: {', '.join(METHODS)}. A checkpoint that is quantized already needs no recipe."
        )
    return Recipe(name=f"{NAME}:{config}", summary=f"{METHODS[config]}; rounded by vLLM", quantizer=NAME, config=config)


def _apply(_: nn.Module, recipe: Recipe, _show_texts: Callable[[], None]) -> Sequence[LayerRecord]:
    refuse_elsewhere(recipe)


def refuse_elsewhere(recipe: Recipe) -> NoReturn:
    """Refuse a recipe of vLLM's on another engine.

    Raises:
        RecipeError: always.
    """
    raise RecipeError(f"{recipe.name} is quantized by vLLM itself: add --qeval-engine vllm.")


VLLM = Quantizer(
    name=NAME,
    summary="vLLM's quantization while loading (fp8_per_tensor, mxfp8 …), with --qeval-engine vllm only",
    recipe=_recipe,
    apply=_apply,
)
