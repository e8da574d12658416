"""Loading a checkpoint: its precision, packages that are missing, weights that are missing, and silence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pytest_qeval.engines.hf import checkpoint, loading
from pytest_qeval.engines.hf.checkpoint import from_pretrained, load_tokenizer, stored_checkpoint
from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.errors import MissingPackageError, ModelSourceError
from pytest_qeval.quantize.builtin import AS_IS, BF16, FP32, INT4, INT8
from pytest_qeval.quantize.recipe import EXPORT_FILE
from pytest_qeval.settings import ModelSettings
from tests.unit.odd_checkpoints import copy_demo, edit_json

CPU = torch.device("cpu")
DEMO = resolve(ModelSettings(name="demo"))


def find(path: Path) -> ModelSource:
    return resolve(ModelSettings(name=str(path)))


def quantized_by(method: str, path: Path, **config: Any) -> Path:
    """Copy the embedded model, and claim that some package has quantized it."""
    shutil.copytree(DEMO.location, path)
    content = json.loads((path / "config.json").read_text(encoding="utf-8"))
    content["quantization_config"] = {"quant_method": method, **config}
    (path / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Write the embedded model in int8."""
    load(DEMO, INT8, device="cpu", export=tmp_path / "int8")
    return tmp_path / "int8"


@pytest.mark.parametrize(
    ("method", "config", "package"),
    [
        pytest.param("gptq", {"bits": 4, "group_size": 128}, "optimum", id="gptq"),
        pytest.param("awq", {"bits": 4, "group_size": 128, "version": "gemm"}, "gptqmodel", id="awq"),
    ],
)
def test_a_package_that_is_missing_is_named(tmp_path: Path, method: str, config: Any, package: str) -> None:
    """One sentence: the checkpoint, how it is quantized, and what to install."""
    try:
        __import__(package)
    except ImportError:
        pass
    else:
        pytest.skip(f"{package} is installed")
    path = quantized_by(method, tmp_path / method, **config)
    with pytest.raises(ModelSourceError) as refusal:
        load(find(path), AS_IS, device="cpu")
    message = str(refusal.value)
    assert message.startswith(f"the checkpoint {path} is quantized ({method}): ")
    assert f"pip install {package}" in message
    assert "\n" not in message


@pytest.mark.parametrize("method", ["bitsandbytes", "torchao", "compressed-tensors"])
def test_an_extra_that_is_named_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The extra in the message can be installed."""
    path = quantized_by(method, tmp_path / "model")

    def fail(*_: object) -> None:
        raise ImportError(f"no {method}\nand more")

    monkeypatch.setattr(checkpoint, "_from_files", fail)
    with pytest.raises(MissingPackageError, match=rf"the checkpoint .*model needs the package '{method}'") as refusal:
        from_pretrained(find(path), "checkpoint", CPU, None)
    extra = str(refusal.value).partition("pytest-qeval[")[2].partition("]")[0]
    pyproject = Path(__file__).parents[4] / "pyproject.toml"
    assert f"\n{extra} = [" in pyproject.read_text(encoding="utf-8")


def test_only_what_this_program_wrote_is_read_as_such(exported: Path) -> None:
    """An export is recognized by one file, without which it is any checkpoint."""
    assert stored_checkpoint(DEMO) is None
    found = stored_checkpoint(find(exported))
    assert found is not None
    assert found.content.recipe == INT8
    (exported / EXPORT_FILE).unlink()
    assert stored_checkpoint(find(exported)) is None


def test_a_model_that_is_not_on_disk_yet_is_no_export() -> None:
    """A hub model whose files have to be fetched."""
    assert stored_checkpoint(ModelSource(kind="hub", name="owner/name")) is None


def test_an_export_is_never_unpacked_to_floats(exported: Path) -> None:
    """A layer has the shape and the type that its config states, and no values but the integers in the file."""
    found = stored_checkpoint(find(exported))
    assert found is not None
    model, tokenizer = from_pretrained(find(exported), "checkpoint", CPU, found)
    layer = "model.layers.3.mlp.down_proj"
    weight = model.get_submodule(layer).weight
    assert (weight.is_meta, weight.shape, weight.dtype) == (True, found.weights[layer].values.shape, torch.float32)
    assert torch.equal(found.weights[layer].values, load_file(exported / "model.safetensors")[f"{layer}.weight"])
    assert not hasattr(model.config, "quantization_config")
    assert tokenizer("def f(x):").input_ids


@pytest.mark.parametrize(("stated", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_an_export_keeps_its_floating_point_type(tmp_path: Path, stated: str, dtype: torch.dtype) -> None:
    """What was not quantized comes back in the type that it was in."""
    path = tmp_path / "model"
    shutil.copytree(DEMO.location, path)
    content = json.loads((path / "config.json").read_text(encoding="utf-8"))
    (path / "config.json").write_text(json.dumps({**content, "dtype": stated}), encoding="utf-8")
    save_file(
        {name: tensor.to(dtype) for name, tensor in load_file(path / "model.safetensors").items()},
        path / "model.safetensors",
        {"format": "pt"},
    )
    first = load(find(path), INT8, device="cpu", export=tmp_path / "out")
    again = load(find(tmp_path / "out"), AS_IS, device="cpu")
    assert again.model.dtype == first.model.dtype == dtype
    assert torch.equal(again.model.model.norm.weight, first.model.model.norm.weight)


def test_a_weight_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A layer of random numbers is no model; transformers only warns."""
    shutil.copytree(DEMO.location, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items() if "layers.3.mlp.up" not in name}
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelSourceError, match="up_proj"):
        from_pretrained(find(tmp_path / "model"), "checkpoint", CPU, None)


def test_the_first_missing_tensors_are_named(tmp_path: Path) -> None:
    """Three of them, and how many more; a tied output layer is not missing."""
    shutil.copytree(DEMO.location, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, "num_hidden_layers": content["num_hidden_layers"] + 1}), encoding="utf-8")
    with pytest.raises(ModelSourceError) as refusal:
        from_pretrained(find(tmp_path / "model"), "checkpoint", CPU, None)
    message = str(refusal.value)
    assert message.startswith(f"the weight files of {tmp_path / 'model'} lack model.layers.7.input_layernorm.weight, ")
    assert " and 6 more, which its config asks for" in message
    assert "lm_head" not in message


def test_a_stored_weight_that_is_not_there_is_refused(exported: Path) -> None:
    """Also where another package reads the checkpoint."""
    pytest.importorskip("compressed_tensors", reason="the package compressed-tensors is not installed")
    (exported / EXPORT_FILE).unlink()
    file = exported / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items() if "layers.3.mlp.up" not in name}
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelSourceError):
        from_pretrained(find(exported), "checkpoint", CPU, None)


def test_loading_an_export_is_silent(exported: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No bars and no advice."""
    capfd.readouterr()
    load(find(exported), AS_IS, device="cpu")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("build", [ValueError, OSError, RuntimeError, SafetensorError])
def test_what_transformers_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, build: Callable[[str], Exception]
) -> None:
    """Its first line, and the version of transformers."""

    def fail(*_: object) -> None:
        raise build("no such thing\nand a long explanation")

    monkeypatch.setattr(checkpoint, "_from_files", fail)
    with pytest.raises(ModelSourceError, match=r"^transformers [\w.+]+ cannot load demo: no such thing$"):
        from_pretrained(DEMO, "checkpoint", CPU, None)


def test_every_end_of_text_token_counts(tmp_path: Path) -> None:
    """Whoever names it: the generation config, the config or the tokenizer, which may all be right."""
    path = copy_demo(tmp_path / "model", eos_token_id=6)
    edit_json(path / "generation_config.json", eos_token_id=[5, 7])
    loaded = load(find(path), AS_IS, device="cpu")
    assert loaded.eos_ids == (5, 7, 6, loaded.tokenizer.eos_token_id)
    assert loaded.tokenizer.eos_token_id not in {5, 6, 7}


def test_an_export_keeps_how_the_model_is_sampled(tmp_path: Path) -> None:
    """To the byte, though nothing of it is used for measuring; the same tokens end a completion."""
    path = copy_demo(tmp_path / "model")
    changes = {"do_sample": False, "temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1, "eos_token_id": [0, 5]}
    file = edit_json(path / "generation_config.json", **changes)
    first = load(find(path), INT8, device="cpu", export=tmp_path / "out")
    assert (tmp_path / "out" / "generation_config.json").read_bytes() == file.read_bytes()
    assert load(find(tmp_path / "out"), AS_IS, device="cpu").eos_ids == first.eos_ids == (0, 5)
    file.unlink()
    load(find(path), INT8, device="cpu", export=tmp_path / "out")
    assert not (tmp_path / "out" / "generation_config.json").is_file()


def test_recipes_share_a_tokenizer_until_its_files_change(tmp_path: Path) -> None:
    """It takes seconds to load a large one, and nobody changes it."""
    path = copy_demo(tmp_path / "model")
    first, second = load_tokenizer(find(path)), load_tokenizer(find(path))
    edit_json(path / "tokenizer_config.json", model_max_length=77)
    third = load_tokenizer(find(path))

    assert first is second
    assert third is not first
    assert third.model_max_length == 77


def test_the_continuous_batch_is_tried_once_per_precision_and_kind_of_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded activations are allowed a larger difference."""
    tried: list[tuple[torch.dtype, bool]] = []

    def find_reason(model: Any, _encoder_decoder: object, *, rounds: bool) -> str:
        tried.append((model.dtype, rounds))
        return "a reason"

    monkeypatch.setattr(loading, "_fallback_reasons", {})
    monkeypatch.setattr(loading, "find_fallback_reason", find_reason)
    loaded = [load(DEMO, recipe, device="cpu") for recipe in (BF16, INT8, FP32, FP32, INT8)]

    assert [one.fallback_reason for one in loaded] == ["a reason"] * 5
    assert tried == [(torch.bfloat16, False), (torch.float32, True), (torch.float32, False)]


def test_a_quantized_model_is_not_tried_after_its_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same layers but for the linear ones, which do not matter to the cache."""
    tried: list[bool] = []

    def find_reason(_model: Any, _encoder_decoder: object, *, rounds: bool) -> str:
        tried.append(rounds)
        return ""

    monkeypatch.setattr(loading, "_fallback_reasons", {})
    monkeypatch.setattr(loading, "find_fallback_reason", find_reason)
    for recipe in (FP32, INT8, INT4):
        load(DEMO, recipe, device="cpu")

    assert tried == [False]
