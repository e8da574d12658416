"""A model without weights, from its config alone: what a recipe does with each layer is known before loading."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.engines.hf.direct_reads import can_run
from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder, encoder_decoder_of
from pytest_qeval.quantize.experts import unpack_experts_


def build_skeleton(
    read_config: Callable[[], Any], auto_class: Any, tokenizer: Any
) -> tuple[Any, EncoderDecoder | None] | None:
    """Build a model of zeros that take no memory, its experts unpacked, and describe its encoder if it has one.

    Returns:
        None for a model whose own code cannot do without weights, or whose config cannot be read.
    """
    try:
        config = read_config()
        with torch.device("meta"):
            model = auto_class.from_config(config, trust_remote_code=True)  # `read_config` has asked
        unpack_experts_(model)
        _fill(model)
        encoder_decoder = encoder_decoder_of(model, tokenizer)
    except Exception:  # noqa: BLE001 - a model's own code may raise anything; loading it says what is wrong
        return None
    return (model.eval(), encoder_decoder) if can_run(model, encoder_decoder) else None


def _fill(model: nn.Module) -> None:
    """Give every parameter a single zero for all of its elements; linear layers return zeros without multiplying."""
    filled: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) not in filled:
                zero = torch.zeros((), dtype=parameter.dtype).expand(parameter.shape)
                filled[id(parameter)] = nn.Parameter(zero, requires_grad=False)
            setattr(module, name, filled[id(parameter)])
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.zeros_like(buffer, device="cpu"))
        if type(module) in {nn.Linear, Conv1D}:
            module.forward = partial(_zeros, module)


def _zeros(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return x.new_zeros(*x.shape[:-1], layer.nf if isinstance(layer, Conv1D) else layer.out_features)
