"""Checkpoints that could not be evaluated as they are, refused from their small files before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import dynamic_module_utils

from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.builtin import AS_IS
from pytest_qeval.settings import ModelSettings
from tests.unit.odd_checkpoints import copy_demo, edit_json, edit_tensors, to_float8

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5000000\n"


def find(path: Path, **settings: Any) -> ModelSource:
    return TRANSFORMERS.find(ModelSettings(name=str(path), **settings))


@pytest.fixture
def own_kind(tmp_path: Path) -> Path:
    """Write a model whose classes come with it."""
    classes = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    path = copy_demo(tmp_path / "own", model_type="own", architectures=["OwnForCausalLM"], auto_map=classes)
    config = "from transformers import LlamaConfig\nclass OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
    model = (
        "from transformers import LlamaForCausalLM\nfrom .configuration_own import OwnConfig\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    (path / "configuration_own.py").write_text(config)
    (path / "modeling_own.py").write_text(model)
    return path


def test_an_unknown_quantization_method_is_refused(tmp_path: Path) -> None:
    """Packed numbers would be taken for the weights."""
    path = copy_demo(tmp_path / "model", quantization_config={"quant_method": "compresed-tensors"})
    with pytest.raises(
        ModelSourceError, match=r"'compresed-tensors', which transformers .*Did you mean 'compressed-ten"
    ):
        find(path)
    nested = copy_demo(tmp_path / "nested", text_config={"quantization_config": {"quant_method": "modelopt"}})
    with pytest.raises(ModelSourceError, match="by the method 'modelopt'"):
        find(nested)
    find(copy_demo(tmp_path / "known", quantization_config={"load_in_8bit": True}))


def test_a_model_is_described_with_its_quantization_and_what_it_was_made_from(tmp_path: Path) -> None:
    """Without loading it; what is in floating point may have been quantized once."""
    stored = copy_demo(tmp_path / "known", quantization_config={"load_in_8bit": True})
    unpacked = copy_demo(tmp_path / "unpacked", _name_or_path="org/coder-AWQ")
    found = [TRANSFORMERS.describe(TRANSFORMERS.find(ModelSettings(name=str(path)))) for path in (stored, unpacked)]

    assert [one["quantization"] for one in found] == ["bitsandbytes", ""]
    assert [one["made_from"] for one in found] == ["", "org/coder-AWQ"]


def test_packed_weights_without_a_method_are_refused(tmp_path: Path) -> None:
    """As some tools write them, with the method in a file of their own."""
    with pytest.raises(
        ModelSourceError, match=r"stores model\.layers\.0\.mlp\.down_proj\.weight and 48 more .*F8_E4M3"
    ):
        find(edit_tensors(copy_demo(tmp_path / "model"), to_float8))


def test_weights_that_are_not_loaded_are_left_alone(tmp_path: Path) -> None:
    """Beside model.safetensors, or the shards of an index, other files may be anything."""
    path = copy_demo(tmp_path / "model")
    (path / "consolidated.safetensors").write_text(POINTER)
    source = TRANSFORMERS.find(ModelSettings(name=str(path)))
    demo = TRANSFORMERS.find(ModelSettings(name="demo"))
    assert TRANSFORMERS.describe(source)["weights_sha256"] == TRANSFORMERS.describe(demo)["weights_sha256"]
    (path / "model.safetensors").rename(path / "weights.safetensors")
    with pytest.raises(
        ModelSourceError, match=r"weights under another name \(consolidated\.safetensors\): expected model"
    ):
        find(path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    """A clone without git-lfs has them in place of large files."""
    path = copy_demo(tmp_path / "model")
    (path / name).write_text(POINTER)
    with pytest.raises(
        ModelSourceError, match=rf"{name} is a pointer of git-lfs, not the file itself: run `git lfs pu"
    ):
        find(path)
    file = tmp_path / "model.gguf"
    file.write_text(POINTER)
    with pytest.raises(ModelSourceError, match="pointer of git-lfs"):
        find(file)


@pytest.mark.parametrize("whole", [True, False], ids=["beside a model", "alone"])
def test_an_adapter_is_refused(tmp_path: Path, *, whole: bool) -> None:
    """It would be ignored, or its base loaded instead, as the package peft is installed or not."""
    path = copy_demo(tmp_path / "model")
    (path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "owner/base"}')
    if not whole:
        (path / "config.json").unlink()
    with pytest.raises(ModelSourceError, match=r"holds an adapter .*LORA for 'owner/base'.*package peft"):
        find(path)


def test_a_model_without_a_tokenizer_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    path = copy_demo(tmp_path / "model")
    for file in path.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelSourceError, match=r"model has no tokenizer, such as a tokenizer\.json: copy the files"):
        find(path)
    (path / "vocab.txt").write_text("a\n", encoding="utf-8")  # of which transformers may make one
    assert find(path)


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """It is newer than the package, damaged, or a pointer."""
    path = copy_demo(tmp_path / "model")
    file = path / "tokenizer.json"
    edit_json(file, model={"type": "BPE3"})
    with pytest.raises(
        ModelSourceError, match=r"tokenizer\.json cannot be read by tokenizers [\d.]+ \(.*update the pac"
    ):
        find(path)
    file.write_text(POINTER)
    with pytest.raises(ModelSourceError, match=r"tokenizer\.json is a pointer of git-lfs"):
        find(path)


@pytest.mark.parametrize("special", [True, False])
def test_a_token_without_an_embedding_is_named(tmp_path: Path, *, special: bool) -> None:
    """Unless no text has it, such as the mark of an image in a model that reads images too."""
    path = copy_demo(tmp_path / "model")
    file = path / "tokenizer.json"
    rows = json.loads((path / "config.json").read_text("utf-8"))["vocab_size"]
    token = {"id": rows, "content": "Add one", "special": special}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    edit_json(file, added_tokens=[*json.loads(file.read_text("utf-8"))["added_tokens"], {**token, **flags}])
    if special:
        find(path)
        return
    with pytest.raises(
        ModelSourceError, match=rf"tokenizer\.json has the token 'Add one' at {rows}, and .* for {rows} tok"
    ):
        find(path)


def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path) -> None:
    """It has more words than the model has embeddings."""
    path = copy_demo(tmp_path / "model", vocab_size=1000)
    with pytest.raises(
        ModelSourceError, match=r"tokenizer\.json has 1\d+ tokens, and the model has embeddings for 1000"
    ):
        find(path)


def test_code_that_comes_with_a_model_needs_an_option(own_kind: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is named, and nothing is asked on the terminal."""
    with pytest.raises(ModelSourceError) as refusal:
        find(own_kind)
    assert "own kind (own), whose code comes with it (configuration_own.OwnConfig, modeling_own." in str(refusal.value)
    assert str(refusal.value).endswith("allow it by --qeval-trust-remote-code.")
    assert capfd.readouterr() == ("", "")


def test_code_that_transformers_has_itself_needs_none(tmp_path: Path) -> None:
    """Many models are published with the code from before they were in transformers."""
    find(copy_demo(tmp_path / "model", auto_map={"AutoConfig": "configuration_old.OldConfig"}))


def test_allowed_code_is_used(own_kind: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its file is part of the model's identity."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    source = find(own_kind, remote_code=True)
    loaded = load(source, AS_IS, device="cpu")
    assert type(loaded.model).__name__ == "OwnForCausalLM"
    before = TRANSFORMERS.describe(source)["files_sha256"]
    (own_kind / "modeling_own.py").write_text("")
    assert TRANSFORMERS.describe(source)["files_sha256"] != before
