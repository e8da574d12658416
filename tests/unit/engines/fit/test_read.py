"""Shapes are read wherever they are told: headers, a config alone, a GGUF file, the hub's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.fit.read import find_shape
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.settings import ModelSettings
from tests.unit.engines.fit.test_architectures import QWEN_05B

CONFIG = {**QWEN_05B, "architectures": ["Qwen2ForCausalLM"], "dtype": "bfloat16"}


def written(folder: Path, config: Mapping[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def find(name: Path | str) -> Any:
    return find_shape(ModelSettings(name=str(name)))


@pytest.mark.parametrize("leaf", ["", "config.json"])
def test_a_config_alone_tells_the_shapes(tmp_path: Path, leaf: str) -> None:
    """As a folder, or by the path of the file."""
    found = find(written(tmp_path, CONFIG) / leaf)
    assert (found.origin, found.parameters, found.dtype, found.tied) == ("config.json", 494_032_768, "bfloat16", True)


def test_headers_tell_the_same_as_the_config(tmp_path: Path) -> None:
    """Of the embedded model: names, shapes and kinds."""
    alone = find(written(tmp_path, json.loads((MODEL_DIR / "config.json").read_text())))
    stored = find("demo")
    assert stored.origin == "safetensors headers"
    assert {one.name: one[1:3] for one in stored.tensors} == {one.name: one[1:3] for one in alone.tensors}
    assert (stored.tied, stored.dtype) == (alone.tied, alone.dtype)


def test_an_unknown_architecture_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Which names what would do instead."""
    with pytest.raises(ModelSourceError, match=r"does not know the architecture 'qwen99'.*Name a checkpoint"):
        find(written(tmp_path, {"model_type": "qwen99", "architectures": ["Qwen99ForCausalLM"]}))


def test_a_config_with_gaps_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match="cannot build a gpt2 model from this config"):
        find(written(tmp_path, {"model_type": "gpt2", "n_embd": "wide"}))


def test_a_quantized_config_does_not_tell_how_weights_are_packed(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match=r"quantized already \(gptq\).*name the checkpoint itself"):
        find(written(tmp_path, {**CONFIG, "quantization_config": {"quant_method": "gptq"}}))


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelSourceError, match="is not a causal language model"):
        find(written(tmp_path, {**CONFIG, "architectures": ["BertForMaskedLM"]}))


def test_without_the_hub_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one sentence, as in an ordinary run."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    def absent(*_: Any, **__: Any) -> None:
        raise huggingface_hub.errors.LocalEntryNotFoundError("nothing here")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", absent)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelSourceError, match=r"hub cannot be reached.*Offline, name a directory"):
        find("org/model")
