"""Batch invariance: a completion depends on the model, the recipe and the prompt, and on nothing that runs beside it.

Products are made row by row (`compiled/products.c`), or of blocks of rows (`quantize.kernels.row_blocks`). A prompt
attends to itself alone (`forward`), a row of a step to its own tokens (`compiled/attention.c`). Where torch attends,
keys and queries are padded to fixed numbers (`cache`, `attention`). Where it does not hold, this says why.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.engines.hf.forward import CausalBatchModel, context_length
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.trial import feed, token_ids
from pytest_qeval.quantize.heap import ReplacedWeights
from pytest_qeval.quantize.kernels.float_linear import PackingForward
from pytest_qeval.quantize.kernels.row_blocks import threads_matter
from pytest_qeval.quantize.memory_mapped import MappedFiles
from pytest_qeval.quantize.recipe import CacheScheme, Recipe

_LENGTHS = (60, 6, 50)
"""Tokens of the prompts that are tried: of one padded length, but a step attends to more columns after the first."""
_SHARED = (0, 0, 20)
"""Tokens of them that are computed as the beginning of several prompts."""
_STEPS = (1, 4)
"""Tokens of the two steps: of plain decoding, and with drafts."""


def multiply_in_blocks(model: nn.Module) -> None:
    """Let the model's linear layers multiply in blocks of rows; layers stay what they are, for those who look.

    A layer's weight is packed in its first product and replaces the plain one. Layers whose weight the model reads
    itself, as Mamba does, are never called and keep it. An output layer tied to the embeddings gets a packed copy.
    """
    files, replaced = MappedFiles(), ReplacedWeights()
    for module in model.modules():
        if type(module) in {nn.Linear, Conv1D}:
            module.forward = PackingForward(module, files, replaced)


def find_batch_dependence(language_model: LanguageModel, recipe: Recipe) -> str:
    """Return why completions may depend on the batch or on threads; empty where they do not.

    Call it after quantization.
    """
    model = language_model.model
    rope = str(getattr(model.config.get_text_config(decoder=True), "rope_parameters", None))
    schemes = (recipe.activations, *(rule.activations for rule in recipe.rules))
    reasons = {
        f"kernels of {model.device.type} are chosen by the number of rows": model.device.type != "cpu",
        "`generate` pads prompts to the longest of a group": bool(language_model.fallback_reason),
        "the rows of an encoder-decoder model end in the same column": language_model.encoder_decoder is not None,
        "one scale is found for the inputs of all rows": any(
            scheme and scheme.dynamic and scheme.granularity == "per_tensor" for scheme in schemes
        ),
        "its position embedding depends on the longest row": "dynamic" in rope or "longrope" in rope,
    }
    reason = next((reason for reason, applies in reasons.items() if applies), "")
    if not (reason or _rows_are_independent(model, language_model.cache_scheme)):
        reason = "logits of a prompt differ alone and in a batch"
    return reason or ("products depend on the number of threads" if threads_matter() else "")


@torch.inference_mode()
def _rows_are_independent(model: Any, scheme: CacheScheme | None) -> bool:
    """Compare prompts alone with the same ones in a batch, bit by bit: prefill, a step and a step with drafts."""
    most = max(1, context_length(model) - sum(_STEPS))
    lengths = [min(length, most) for length in _LENGTHS]
    sequences = [token_ids(model, length + sum(_STEPS)) for length in lengths]
    shared = [min(count, length - 1) for count, length in zip(_SHARED, lengths, strict=True)]
    alone = [
        feed(CausalBatchModel(model, rows=1, scheme=scheme), [ids], steps=_STEPS, shared=[count])[0]
        for ids, count in zip(sequences, shared, strict=True)
    ]
    batch = CausalBatchModel(model, rows=len(sequences), scheme=scheme)
    together = feed(batch, sequences, steps=_STEPS, shared=shared)
    return all(map(torch.equal, together, alone))
