"""Unpack a GGUF file tensor by tensor, when the loader asks; transformers unpacks the whole file first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pytest_qeval.quantize.checkpoints.weight_files import gguf_text, read_gguf

_ONE_TO_ONE = frozenset({"TensorProcessor", "LlamaTensorProcessor", "NemotronTensorProcessor", "Gemma2TensorProcessor"})
"""transformers' rules under which a tensor of the file makes one of the model's, under the name in its table."""


class _Packed:
    """A tensor that is unpacked when all of it is asked for."""

    def __init__(self, unpack: Callable[[], torch.Tensor]) -> None:
        self._unpack = unpack

    def __getitem__(self, _: Any) -> torch.Tensor:
        return self._unpack()


def gguf_state_dict(file: Path, skeleton: nn.Module, config: Any) -> dict[str, Any] | None:
    """Return the model's state dict, of which each value is unpacked to float32 when it is sliced.

    Returns:
        None where transformers has rules of its own for this architecture: it merges experts, say.
    """
    try:
        from gguf import dequantize  # noqa: PLC0415 # an extra
        from transformers.modeling_gguf_pytorch_utils import (  # noqa: PLC0415 # not in every version
            TENSOR_PROCESSORS,
            TensorProcessor,
            get_gguf_hf_weights_map,
        )
    except ImportError:
        return None
    reader, architecture = read_gguf(file), gguf_text(file, "general.architecture") or ""
    make = TENSOR_PROCESSORS.get(architecture, TensorProcessor)
    # without this field, transformers does not turn Llama's heads, whose number the config knows all the same
    states_heads = reader.get_field(f"{architecture}.attention.head_count_kv") is not None
    if make.__name__ not in _ONE_TO_ONE or not states_heads or _unpacks_by_itself(architecture):
        return None
    processor = make(config=config.to_dict())
    names = get_gguf_hf_weights_map(skeleton, processor)

    def unpack(tensor: Any) -> torch.Tensor:
        values = dequantize(tensor.data, tensor.tensor_type)
        made = processor.process(weights=values, name=tensor.name, tensor_key_mapping=names, parsed_parameters={})
        return torch.from_numpy(np.copy(made.weights))

    def packed(tensor: Any) -> _Packed:
        return _Packed(lambda: unpack(tensor))

    return {names[one.name]: packed(one) for one in reader.tensors if one.name in names}


def _unpacks_by_itself(architecture: str) -> bool:
    """Return whether transformers unpacks files of an architecture tensor by tensor."""
    try:
        from transformers.integrations.gguf.utils import is_gguf_arch_supported  # noqa: PLC0415 # not in every version
    except ImportError:
        return False
    return bool(is_gguf_arch_supported(architecture))
