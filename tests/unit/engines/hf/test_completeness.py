"""A model is the one in its files, or it is refused: no tensor is drawn at random, ignored or not finite."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from pytest_qeval.engines.hf.checkpoint import from_pretrained
from pytest_qeval.engines.hf.completeness import check_complete
from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.builtin import AS_IS
from pytest_qeval.settings import ModelSettings
from tests.unit.odd_checkpoints import Tensors, copy_demo, edit_tensors, to_float8

CPU = torch.device("cpu")
LAYER = "model.layers.3.mlp.down_proj"


def find(path: Path) -> ModelSource:
    return resolve(ModelSettings(name=str(path)))


def load_of(path: Path) -> None:
    from_pretrained(find(path), "checkpoint", CPU, None)


def test_scales_that_would_be_dropped_are_named(tmp_path: Path) -> None:
    """Whatever the quantization method is called: transformers ignores one that it does not know."""
    path = copy_demo(tmp_path / "model", quantization_config={"quant_method": "of-tomorrow"})
    edit_tensors(path, to_float8)
    with pytest.raises(ModelSourceError) as refusal:
        load_of(path)
    message = str(refusal.value)
    assert "has no use for model.layers.0.mlp.down_proj.weight_scale, " in message
    assert " and 46 more in the weight files of " in message


def test_any_tensor_that_would_be_ignored_is_named(tmp_path: Path) -> None:
    """A bias, say, that the config does not ask for."""
    path = edit_tensors(copy_demo(tmp_path / "model"), lambda old: {**old, f"{LAYER}.bias": torch.ones(128)})
    with pytest.raises(ModelSourceError, match=rf"has no use for {LAYER}\.bias in the weight files"):
        load_of(path)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    """With both shapes; transformers says only that there is one."""
    path = copy_demo(tmp_path / "model", intermediate_size=400)
    with pytest.raises(ModelSourceError, match=r"do not fit its config: model\.layers\.0\.mlp\.down_proj\.weight "):
        load_of(path)


def test_a_config_that_contradicts_itself_is_one_sentence(tmp_path: Path) -> None:
    """Whatever transformers raises."""
    with pytest.raises(ModelSourceError, match=r"^transformers [\d.]+ cannot load .*7"):
        load_of(copy_demo(tmp_path / "model", num_attention_heads=7))


def test_what_a_class_declares_to_be_no_loss_is_none(tmp_path: Path) -> None:
    """Old checkpoints hold the frequencies of rotary embeddings, which models compute."""
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    load_of(edit_tensors(copy_demo(tmp_path / "model"), lambda old: {**old, name: torch.ones(16)}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    """It makes every logit NaN, and a gate would blame the recipe."""

    def damage(tensors: Tensors) -> Tensors:
        tensors[f"{LAYER}.weight"][0, 0] = value
        return tensors

    with pytest.raises(ModelSourceError, match=rf"holds NaN or infinity in {LAYER}\.weight: the checkpoint"):
        load_of(edit_tensors(copy_demo(tmp_path / "model"), damage))


def test_missing_scales_of_a_quantized_checkpoint_are_named(tmp_path: Path) -> None:
    """They would be 1; what formats leave out is not missing."""
    names = ["a.weight_scale", "b.g_idx", "c.weight_packed", "d.bias"]
    stored = ModelSource(kind="directory", name="m", path=tmp_path, stored="gptq")
    with pytest.raises(ModelSourceError, match=r"lack a\.weight_scale, c\.weight_packed, which"):
        check_complete(stored, {"missing_keys": names})
    check_complete(stored, {"missing_keys": ["b.g_idx", "d.bias"]})


def test_float8_blocks_are_described(tmp_path: Path) -> None:
    """As stored: 8 bits, the blocks, their bytes; and simulated, since a CPU computes with unpacked weights."""
    config = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128], "fmt": "e4m3"}
    path = copy_demo(tmp_path / "model", quantization_config=config)
    loaded = load(find(edit_tensors(path, partial(to_float8, block=128))), AS_IS, device="cpu")
    layer = next(layer for layer in loaded.quantization.layers if layer.name == LAYER)
    assert (layer.bits, layer.granularity, layer.kept) == (8, "per_block(128x128)", False)
    assert (layer.bytes_before, layer.bytes_after) == (128 * 384 * 4, 128 * 384 + 3 * 4)
    assert (loaded.scheme, loaded.quantization.execution) == ("fp8, 8 bits", "simulated")
    assert loaded.quantization.notes == (
        "no speed-up: the files' 8-bit floats (per_block(128x128)) are unpacked to float32",
    )
    original = load(find(Path(resolve(ModelSettings(name="demo")).location)), AS_IS, device="cpu")
    weight, expected = (one.model.get_submodule(LAYER).weight for one in (loaded, original))
    assert 0 < (weight - expected).norm() / expected.norm() < 0.05
    assert loaded.model_bytes < original.model_bytes / 2.5
