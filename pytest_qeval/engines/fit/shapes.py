"""A model's tensors by name, shape and kind, wherever they are read from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader
from pytest_qeval.quantize.recipe import Recipe

Kind = Literal["linear", "embedding", "other"]

OUTPUT_LAYERS = ("lm_head", "embed_out")
"""Last components of the names of output layers."""
_EMBEDDINGS = ("wte", "wpe", "shared", "relative_attention_bias")
"""Last components of the names of embeddings, besides those with `embed` in them."""
_IGNORED = (".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".inv_freq")
"""Buffers that old checkpoints of GPT-2, CodeGen and GPT-NeoX hold, and that are computed today."""
_TRANSPOSED = ("gpt2", "openai-gpt")
"""Kinds of models that store the weight of a linear layer as `[in_features, out_features]`."""
_FLOATING = ("F64", "F32", "F16", "BF16")
_EXPERTS_DIMENSIONS = 3


class ModelTensor(NamedTuple):
    """One parameter."""

    name: str
    """As in the model; of a linear layer or an embedding the module's, without `.weight`."""
    shape: tuple[int, ...]
    """Of a linear layer (out_features, in_features), with all experts of a mixture one below the other."""
    kind: Kind
    stored_bytes: int = 0
    """Bytes in the file; 0 where there is none."""
    floating: bool = True

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_output(self) -> bool:
        """Whether this is the output layer."""
        return self.kind == "linear" and self.name.rpartition(".")[2] in OUTPUT_LAYERS


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A model whose weights nobody has loaded."""

    name: str
    origin: str
    """Where the shapes come from: `safetensors headers`, `config.json`, `GGUF file`."""
    config: Mapping[str, Any]
    """As in config.json; of the part for text where the model reads images too."""
    tensors: tuple[ModelTensor, ...]
    """Every parameter once: an output layer tied to the embeddings is not among them."""
    dtype: str
    """The floating-point type that the recipe `auto` loads it in."""
    tied: bool = False
    """Whether the output layer is the embedding."""
    stored: str = ""
    """As in `ModelSource.stored`."""
    exported: Recipe | None = None
    """The recipe of a checkpoint that this program exported."""
    files_bytes: int = 0
    """Size of the weight files; 0 where there are none."""
    tokenizer_bytes: int = 0
    """Size of tokenizer.json; 0 where it is not known."""

    @property
    def parameters(self) -> int:
        """Number of parameters, shared ones counted once."""
        return sum(tensor.elements for tensor in self.tensors)


def tensors_of_headers(
    headers: Mapping[str, TensorHeader], config: Mapping[str, Any], *, tied: bool
) -> Iterator[ModelTensor]:
    """Yield a checkpoint's tensors, classified by their names and shapes."""
    transposed = config.get("model_type") in _TRANSPOSED
    for name, header in headers.items():
        if name.endswith(_IGNORED):
            continue
        tensor = classify(name, header.shape, transposed=transposed)
        if not (tied and tensor.is_output):
            floating = header.dtype in _FLOATING
            yield tensor._replace(stored_bytes=header.stored_bytes, floating=floating)


def classify(name: str, shape: tuple[int, ...], *, transposed: bool = False) -> ModelTensor:
    """Return what kind of parameter a name and a shape make."""
    module = name.removesuffix(".weight")
    leaf = module.rpartition(".")[2]
    if len(shape) == _EXPERTS_DIMENSIONS and "expert" in name:
        return ModelTensor(module, (shape[0] * shape[1], shape[2]), "linear")
    if len(shape) != 2 or module == name:  # noqa: PLR2004 - a matrix
        return ModelTensor(name, shape, "other")
    if leaf not in OUTPUT_LAYERS and ("embed" in leaf or leaf in _EMBEDDINGS):
        return ModelTensor(module, shape, "embedding")
    return ModelTensor(module, shape[::-1] if transposed and leaf.startswith("c_") else shape, "linear")


def is_tied(config: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Return whether the output layer shares the embedding: the config says so, or no output layer is stored."""
    stated = config.get("tie_word_embeddings")
    stored = any(name.removesuffix(".weight").rpartition(".")[2] in OUTPUT_LAYERS for name in names)
    return bool(stated) or (stated is None and not stored)
