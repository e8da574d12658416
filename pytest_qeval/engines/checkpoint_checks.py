"""Refuse a checkpoint that could not be evaluated as it is, from its small files, before anything is loaded."""

from __future__ import annotations

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import ModelSourceError, did_you_mean


def check_method(source: ModelSource) -> None:
    """Make sure that transformers knows how a checkpoint is quantized; it would ignore an unknown method, and scales.

    Raises:
        ModelSourceError: naming the method.
    """
    if source.stored in {"", "gguf", "qeval", "bitsandbytes"}:  # known, though bitsandbytes by other names
        return
    import transformers  # noqa: PLC0415 - slow, and needed for quantized checkpoints only
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as KNOWN  # noqa: PLC0415

    if source.stored not in KNOWN:
        guess = did_you_mean(source.stored, KNOWN)
        raise ModelSourceError(
            f"{source.name} is quantized by the method {source.stored!r}, which transformers "
            f"{transformers.__version__} does not know: it would drop the scales. {guess}Install a transformers that "
            "knows it, or evaluate the model it was made from."
        )
