"""Read a model's shapes without its weights: from headers, a config alone, a GGUF file, or the hub's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qeval.engines.fit.architectures import tensors_by_formula
from pytest_qeval.engines.fit.export_shape import export_recipe, unpacked_headers
from pytest_qeval.engines.fit.gguf_shape import gguf_shape
from pytest_qeval.engines.fit.shapes import ModelShape, ModelTensor, is_tied, tensors_of_headers
from pytest_qeval.engines.hub import hub_file, hub_headers
from pytest_qeval.engines.model_config import check_architecture, has_encoder, quantization_method, read_json
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader, has_weights, safetensors_headers
from pytest_qeval.quantize.recipe import EXPORT_FILE
from pytest_qeval.settings import ModelSettings

CONFIG = "config.json"
_TIED_BY_DEFAULT = ("starcoder2",)
"""Kinds of models with a formula whose output layer is the embedding unless the config says otherwise."""


def find_shape(model: ModelSettings) -> ModelShape:
    """Read the shapes of the model that `--qeval-model` names; its weights need not be on this machine.

    A directory may hold a config.json alone, and the path of a config.json names a model as well.

    Raises:
        ModelSourceError: when there is no such model, or nothing tells its shapes.
        MissingPackageError: without the package that reads its files.
    """
    path = Path(model.name).expanduser()
    if path.is_file() and path.suffix == ".json":
        return _of_config(model.name, read_json(path))
    if path.is_dir() and (path / CONFIG).is_file() and not has_weights(path):
        return _of_config(model.name, read_json(path / CONFIG), folder=path)
    return shape_of(resolve(model))


def shape_of(source: ModelSource) -> ModelShape:
    """Read the shapes of a model that was found.

    Raises:
        ModelSourceError: as `find_shape`.
    """
    if source.kind == "gguf" and source.path:
        return gguf_shape(source.path, source.name)
    if source.path is None:
        config = read_json(_fetched(source))
        headers = hub_headers(source.name, source.commit)
        if headers is None:
            return _of_config(source.name, config)
        return _of_headers(source.name, headers, config, origin="safetensors headers on the hub")
    config, headers = read_json(source.path / CONFIG), safetensors_headers(source.path)
    files_bytes = sum(header.stored_bytes for header in headers.values())
    exported = export_recipe(source.path) if (source.path / EXPORT_FILE).is_file() else None
    headers = unpacked_headers(headers, exported) if exported else headers
    found = _of_headers(source.name, headers, config, origin="safetensors headers")
    return replace(
        found,
        stored="qeval" if exported else found.stored,
        exported=exported,
        files_bytes=files_bytes,
        tokenizer_bytes=_size(source.path / "tokenizer.json"),
    )


def _fetched(source: ModelSource) -> Path:
    file = hub_file(source.name, source.commit, CONFIG)
    if file is None:
        raise ModelSourceError(f"{source.name!r} on the hub has no {CONFIG}: it is not a transformers model.")
    return file


def _of_headers(
    name: str, headers: Mapping[str, TensorHeader], config: Mapping[str, Any], *, origin: str
) -> ModelShape:
    text = text_config(config)
    tied = is_tied(text, headers)
    tensors = tuple(tensors_of_headers(headers, text, tied=tied))
    return ModelShape(
        name=name,
        origin=origin,
        config=text,
        tensors=tensors,
        dtype=stated_dtype(config) or "float32",
        tied=tied,
        stored=quantization_method(config),
        files_bytes=sum(header.stored_bytes for header in headers.values()),
    )


def _of_config(name: str, config: Mapping[str, Any], *, folder: Path | None = None) -> ModelShape:
    """Build the shapes by formula, or, for an architecture without one, by transformers on torch's meta device."""
    check_architecture(config, name)
    if method := quantization_method(config):
        raise ModelSourceError(
            f"{name} is quantized already ({method}), and a config.json alone does not tell how its weights are "
            "packed: name the checkpoint itself, or the config.json of the model it was made from."
        )
    text = text_config(config)
    tied = bool(text.get("tie_word_embeddings", config.get("model_type") in _TIED_BY_DEFAULT))
    tensors: tuple[ModelTensor, ...] | None = tensors_by_formula(text, tied=tied)
    if tensors is None:
        from pytest_qeval.engines.fit.meta_device import build  # noqa: PLC0415 - seconds: it imports torch

        text, tensors, tied = build(name, config)
    return ModelShape(
        name=name,
        origin=CONFIG,
        config=text,
        tensors=tensors,
        dtype=stated_dtype(config) or "float32",
        tied=tied,
        tokenizer_bytes=_size(folder / "tokenizer.json") if folder else 0,
    )


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a config, or its part for text where the model reads images too."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) and not has_encoder(config) else config


def stated_dtype(config: Mapping[str, Any]) -> str:
    """Return the floating-point type that a config names; empty without one."""
    for entries in (config, text_config(config)):
        if found := entries.get("dtype") or entries.get("torch_dtype"):
            return str(found)
    return ""


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
