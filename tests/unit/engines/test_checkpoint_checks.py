"""Checkpoints that could not be evaluated as they are, refused from their small files before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.settings import ModelSettings
from tests.unit.odd_checkpoints import copy_demo, edit_tensors, to_float8

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5000000\n"


def find(path: Path) -> object:
    return TRANSFORMERS.find(ModelSettings(name=str(path)))


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
