"""Read a model's config.json, and refuse a model that it describes as one that cannot be evaluated."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import check_pointer

ADAPTER = "adapter_config.json"
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_SEQ2SEQ = ("ForConditionalGeneration", "LMHeadModel", "MTModel")


def read_config(directory: Path) -> Mapping[str, Any]:
    """Read the config of a model directory.

    Raises:
        ModelSourceError: when there is none, or an adapter's.
    """
    file = directory / "config.json"
    if file.is_file():
        return read_json(file)
    if (directory / ADAPTER).is_file():
        raise ModelSourceError(adapter_refusal(str(directory), read_json(directory / ADAPTER)))
    ggufs = sorted(entry.name for entry in directory.glob("*.gguf"))
    hint = f" It has {ggufs[0]}: name that file itself." if ggufs else ""
    raise ModelSourceError(f"{directory} is not a model directory: it has no config.json.{hint}")


def read_json(file: Path) -> Mapping[str, Any]:
    """Read a JSON object of a model.

    Raises:
        ModelSourceError: when it is none.
    """
    check_pointer(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelSourceError(f"{file} is not JSON ({error}): fetch the model again.") from error
    if not isinstance(content, dict):
        raise ModelSourceError(f"{file} is not a JSON object: fetch the model again.")
    return content


def text_entry(config: Mapping[str, Any], key: str) -> Any:
    """Return an entry of a config, or of its part for text where the model reads images too; None without either."""
    part = config.get("text_config")
    found = config.get(key)
    return part.get(key) if found is None and isinstance(part, Mapping) else found


def quantization_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a model says it is quantized; empty for one in floating point."""
    found = text_entry(config, "quantization_config")
    return found if isinstance(found, Mapping) else {}


def quantization_method(config: Mapping[str, Any]) -> str:
    """Return the `quant_method` of a model; empty for one in floating point."""
    found = quantization_config(config)
    old = "bitsandbytes" if found.get("load_in_4bit") or found.get("load_in_8bit") else "unknown"
    return str(found.get("quant_method", old)) if found else ""


def has_encoder(config: Mapping[str, Any]) -> bool:
    """Whether the model is an encoder-decoder."""
    return config.get("is_encoder_decoder") is True


def check_config(config: Mapping[str, Any], files: Collection[str], name: str) -> None:
    """Refuse a model that generates no text, or has weights in pickle form only.

    transformers decides about an unknown `model_type`. Of pickled weights on the hub it would look for a conversion at
    another commit.

    Raises:
        ModelSourceError: naming the model and what it is instead.
    """
    check_architecture(config, name)
    safe = any(file.startswith("model") and file.endswith(".safetensors") for file in files)
    if not safe and any(file in _PICKLED for file in files):
        auto_class = "AutoModelForSeq2SeqLM" if has_encoder(config) else "AutoModelForCausalLM"
        raise ModelSourceError(
            f"{name} has weights in pickle form only (pytorch_model.bin), which may run code when they are loaded. "
            f"Convert them: {auto_class}.from_pretrained(…).save_pretrained(…) writes safetensors."
        )


def check_architecture(config: Mapping[str, Any], name: str) -> None:
    """Refuse a model that generates no text, by the classes that its config names.

    Raises:
        ModelSourceError: naming the model and what it is instead.
    """
    architectures = [str(architecture) for architecture in config.get("architectures") or ()]
    suffixes = _SEQ2SEQ if has_encoder(config) else _CAUSAL
    if not architectures or any(architecture.endswith(suffixes) for architecture in architectures):
        return
    kind = ", ".join(architectures)
    if has_encoder(config):
        raise ModelSourceError(
            f"{name} is an encoder-decoder model without a head that generates text ({kind}): expected one such as "
            "T5ForConditionalGeneration."
        )
    raise ModelSourceError(
        f"{name} is not a causal language model ({kind}) and not supported yet: expected a decoder-only model such as "
        "Qwen2ForCausalLM, or an encoder-decoder such as T5."
    )


def adapter_refusal(name: str, adapter: Mapping[str, Any]) -> str:
    """Say that adapters are not applied; transformers ignores one or loads its base instead, as peft is installed."""
    return (
        f"{name} holds an adapter ({ADAPTER}: {adapter.get('peft_type', 'unknown')} for "
        f"{adapter.get('base_model_name_or_path')!r}), and adapters are not applied here. Merge it into its model with "
        "the package peft (merge_and_unload) and name the result, or move the adapter's files away."
    )
