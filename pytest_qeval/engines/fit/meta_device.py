"""Build a model without memory, on torch's meta device, for architectures that no formula here knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers.pytorch_utils import Conv1D

from pytest_qeval.engines.fit.shapes import ModelTensor, classify
from pytest_qeval.errors import ModelSourceError, did_you_mean


def build(name: str, config: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[ModelTensor, ...], bool]:
    """Return a config with its defaults, every parameter once, and whether the output layer is the embedding.

    Raises:
        ModelSourceError: when transformers does not know the architecture, or cannot build it from this config.
    """
    kind = str(config.get("model_type", ""))
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    if kind not in known:
        remote = " It comes with code of its own, which a prediction does not run." if config.get("auto_map") else ""
        raise ModelSourceError(
            f"{name}: transformers {transformers.__version__} does not know the architecture {kind!r}.{remote} "
            f"{did_you_mean(kind, known)}Name a checkpoint in safetensors instead, whose headers tell its shapes."
        )
    auto = AutoModelForSeq2SeqLM if config.get("is_encoder_decoder") else AutoModelForCausalLM
    try:
        built = AutoConfig.for_model(kind, **{key: value for key, value in config.items() if key != "model_type"})
        with torch.device("meta"):
            model = auto.from_config(built)
    except Exception as error:  # a config with gaps makes transformers raise anything
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelSourceError(
            f"{name}: transformers {transformers.__version__} cannot build a {kind} model from this config: {reason}"
        ) from error
    text = built.get_text_config(decoder=True) if not config.get("is_encoder_decoder") else built
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    tied = head is not None and head.weight is embedding.weight
    return text.to_dict(), tuple(_tensors(model)), tied


def _tensors(model: nn.Module) -> Iterator[ModelTensor]:
    seen: set[int] = set()
    embeddings = {id(one.weight) for one in model.modules() if isinstance(one, nn.Embedding)}
    for path, module in model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            shape = tuple(parameter.shape)
            if id(parameter) in embeddings:
                yield ModelTensor(path, shape, "embedding")
            elif type(module) in {nn.Linear, Conv1D} and leaf == "weight":
                yield ModelTensor(path, shape[::-1] if isinstance(module, Conv1D) else shape, "linear")
            else:
                found = classify(f"{path}.{leaf}", shape)
                yield found if "expert" in path else found._replace(name=f"{path}.{leaf}", kind="other")
