"""Refuse a checkpoint that could not be evaluated as it is, from its small files, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.engines.model_config import ADAPTER, adapter_refusal, read_json, text_entry
from pytest_qeval.engines.sources import ModelSource, find_file
from pytest_qeval.errors import ModelSourceError, did_you_mean
from pytest_qeval.quantize.checkpoints.weight_files import check_pointer, safetensors_headers

_PACKED = ("F8_", "F6_", "F4")
"""Types of weights that need scales, as safetensors writes them."""
_OF_TOKENIZERS = ("token", "vocab", "merges", "spiece", "spm", "bpe", "sentencepiece", "tekken", "dict")
"""One of these is in the name of every file that transformers reads a tokenizer from."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model", "vocab.json")


def check_checkpoint(source: ModelSource) -> None:
    """Refuse a checkpoint that could not be evaluated as it is; checks that import transformers come last.

    Raises:
        ModelSourceError: by the first check that fails, with what it has found.
    """
    for check in (_check_adapter, _check_types, _check_tokenizer, _check_method, _check_code):
        check(source)


def _check_adapter(source: ModelSource) -> None:
    """Refuse a model with an adapter beside it; `resolve` refuses an adapter alone."""
    if source.kind != "gguf" and (file := find_file(source, ADAPTER)):
        raise ModelSourceError(adapter_refusal(source.name, read_json(file)))


def _check_types(source: ModelSource) -> None:
    """Refuse weights of 8 bits or fewer without a word on their scales: they would be taken for the weights."""
    if source.path is None or source.stored:
        return
    headers = safetensors_headers(source.path)
    packed = sorted(name for name, header in headers.items() if header.dtype.startswith(_PACKED) and header.shape)
    if packed:
        raise ModelSourceError(
            f"{source.name} stores {packed[0]} and {len(packed) - 1} more tensors as {headers[packed[0]].dtype}, but "
            "its config.json has no quantization_config: their scales would be dropped. Take the checkpoint's format "
            "from whoever made it, or evaluate the model it was made from."
        )


def _check_code(source: ModelSource) -> None:
    """Make sure that a model whose classes come with it may run them; transformers would ask on the terminal."""
    file = None if source.kind == "gguf" or source.remote_code else find_file(source, "config.json")
    config = read_json(file) if file else {}
    code = config.get("auto_map")
    if not isinstance(code, Mapping) or not code:
        return
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES  # noqa: PLC0415 - slow, and rare

    if config.get("model_type") not in CONFIG_MAPPING_NAMES:
        raise ModelSourceError(
            f"{source.name} is a model of its own kind ({config.get('model_type')}), whose code comes with it "
            f"({', '.join(map(str, code.values()))}) and would run with your rights. Read it, and allow it by "
            "--qeval-trust-remote-code."
        )


def _check_tokenizer(source: ModelSource) -> None:
    """Make sure that the tokenizer can be read, and that the model has an embedding for every token of a text.

    Special tokens without an embedding are let pass: texts for an image model have none of its marks.
    """
    if source.kind == "gguf":
        return
    _check_tokenizer_is_there(source)
    for name in _TOKENIZER_FILES if source.path else ():  # the hub resolves pointers itself
        if file := find_file(source, name):
            check_pointer(file)
    file, config = find_file(source, "tokenizer.json"), find_file(source, "config.json")
    if file is None or config is None:
        return
    tokenizer, rows = _read_tokenizer(file), text_entry(read_json(config), "vocab_size")
    if not isinstance(rows, int):
        return
    added = tokenizer.get_added_tokens_decoder()
    beyond = [(at, token.content) for at, token in added.items() if at >= rows and not token.special]
    words = tokenizer.get_vocab_size(with_added_tokens=False)
    if words > rows or beyond:
        found = f"{words} tokens" if words > rows else f"the token {beyond[0][1]!r} at {beyond[0][0]}"
        raise ModelSourceError(
            f"{file} has {found}, and the model has embeddings for {rows} tokens only (vocab_size): it could not read "
            "every text. Take the tokenizer that belongs to the model, or resize the model's embeddings."
        )


def _check_tokenizer_is_there(source: ModelSource) -> None:
    """Refuse a local model without any file of a tokenizer; one with its own code may have its own files."""
    if source.path is None or not source.path.is_dir() or source.remote_code:
        return
    names = [file.name.casefold() for file in source.path.iterdir()]
    if not any(part in name for name in names for part in _OF_TOKENIZERS):
        raise ModelSourceError(
            f"{source.path} has no tokenizer, such as a tokenizer.json: copy the files of the model's tokenizer there."
        )


def _read_tokenizer(file: Path) -> Any:
    import tokenizers  # noqa: PLC0415 - comes with transformers

    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # it raises nothing narrower
        raise ModelSourceError(
            f"{file} cannot be read by tokenizers {tokenizers.__version__} ({error}): update the package where the "
            "file is newer, or fetch the file again."
        ) from error


def _check_method(source: ModelSource) -> None:
    """Make sure that transformers knows how a checkpoint is quantized; it would ignore an unknown method and scales."""
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
