"""Checkpoints that others have quantized are described as they are: layers, bits, share, execution and bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TorchAoConfig
from transformers.utils import logging as transformers_logging

from pytest_qeval.engines.hf import gguf_tensors, loading
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.builtin import AS_IS, BF16, FP32, INT8
from pytest_qeval.quantize.checkpoints.prequantized import (
    describe_gguf,
    describe_prequantized,
    gguf_bits,
    scheme_of,
)
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.quantization import LayerRecord, Quantization
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe
from pytest_qeval.schema import LoadingProgress
from pytest_qeval.settings import ModelSettings

pytestmark = pytest.mark.filterwarnings("ignore")  # what other packages say while they load

PARAMETERS = 1_656_704
LINEAR = 7 * (4 * 128 * 128 + 3 * 128 * 384)
"""Weights of the embedded model's 49 linear layers, the tied output layer not included."""
HEAD = 1280 * 128

Save = Callable[..., Path]
WriteGguf = Callable[..., Path]


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Keep the bars of transformers off the terminal."""
    transformers_logging.disable_progress_bar()
    yield
    transformers_logging.enable_progress_bar()


def demo() -> Path:
    path = resolve(ModelSettings(name="demo")).path
    assert path is not None
    return path


def load_as_is(path: Path) -> Loaded:
    return load(resolve(ModelSettings(name=str(path))), AS_IS, device="cpu")


def logits(model: Any) -> torch.Tensor:
    tokens = torch.arange(60).mul(37).remainder(250).reshape(3, 20) + 2
    with torch.inference_mode():
        result: torch.Tensor = model(input_ids=tokens).logits.float()
    return result


@pytest.fixture(scope="module")
def original() -> torch.Tensor:
    """Return the logits of the embedded model in floating point."""
    return logits(load(resolve(ModelSettings(name="demo")), FP32, device="cpu").model)


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """Let transformers quantize the embedded model and write it, once per name."""
    made: dict[str, Path] = {}

    def write(name: str, config: Any) -> Path:
        if name not in made:
            path = tmp_path_factory.mktemp(name)
            AutoModelForCausalLM.from_pretrained(demo(), quantization_config=config).save_pretrained(path)
            AutoTokenizer.from_pretrained(demo()).save_pretrained(path)
            made[name] = path
        return made[name]

    return write


@pytest.fixture
def nf4(save: Save) -> Path:
    """Return a checkpoint of bitsandbytes in 4 bits."""
    pytest.importorskip("bitsandbytes", reason="the bitsandbytes extra is not installed")
    return save("nf4", BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"))


def ao(save: Save, name: str, **arguments: Any) -> Path:
    """Write a checkpoint of torchao."""
    quantization = pytest.importorskip("torchao.quantization", reason="the torchao extra is not installed")
    if "group" in arguments:
        arguments["granularity"] = quantization.PerGroup(arguments.pop("group"))
    return save(f"{name}{arguments}".replace(" ", ""), TorchAoConfig(getattr(quantization, name)(**arguments)))


@pytest.fixture
def int8(save: Save) -> Path:
    """Return a checkpoint of torchao in 8 bits."""
    return ao(save, "Int8WeightOnlyConfig")


def check_layers(loaded: Loaded, *, bits: int, execution: str) -> None:
    """Compare with what the embedded model is made of."""
    quantization = loaded.quantization
    quantized = [layer for layer in quantization.layers if not layer.kept]
    assert (len(quantized), quantization.execution) == (49, execution)
    assert {layer.bits for layer in quantized} == {bits}
    assert quantized[-1].name == "model.layers.6.mlp.down_proj"
    assert quantized[-1].shape == (128, 384)
    assert [(layer.name, layer.bits) for layer in quantization.layers if layer.kept] == [("lm_head", 32)]
    assert quantization.parameters == PARAMETERS
    assert quantization.quantized_share == pytest.approx(LINEAR / PARAMETERS)


def test_bitsandbytes_is_described(nf4: Path, original: torch.Tensor) -> None:
    """Four bits, computed by its own kernels."""
    loaded = load_as_is(nf4)
    check_layers(loaded, bits=4, execution="native")
    assert loaded.scheme == "bitsandbytes, 4 bits"
    assert 0.01 < float((logits(loaded.model) - original).norm() / original.norm()) < 0.2


def test_bitsandbytes_scales_are_counted(nf4: Path) -> None:
    """A scale for every 64 weights; where the CPU has a kernel for it, the first product makes it two bytes of four."""
    loaded = load_as_is(nf4)
    stored = sum(tensor.nbytes for tensor in load_file(nf4 / "model.safetensors").values())
    assert loaded.model_bytes == pytest.approx(stored, rel=0.04)
    layer = loaded.quantization.layers[0]
    assert layer.bytes_after >= 128 * 128 // 2 + 2 * 128 * 128 // 64 + 4 * 16


def test_torchao_is_described(int8: Path, original: torch.Tensor) -> None:
    """Eight bits, computed by its own kernels; the model's bytes are those that are held."""
    loaded = load_as_is(int8)
    check_layers(loaded, bits=8, execution="native")
    assert loaded.scheme == "torchao, 8 bits"
    assert loaded.model_bytes < LINEAR * 1.1 + 4 * (PARAMETERS - LINEAR)
    assert 0.001 < float((logits(loaded.model) - original).norm() / original.norm()) < 0.05


def test_the_bytes_of_torchaos_layers_are_those_that_are_held(int8: Path) -> None:
    """int8 values, and scales and zero points per row."""
    layer = load_as_is(int8).quantization.layers[0]
    assert 128 * 128 < layer.bytes_after <= 128 * (128 + 8)
    assert (layer.bytes_before, layer.granularity) == (4 * 128 * 128, "")


@pytest.mark.parametrize(
    ("bits", "group"),
    [
        pytest.param(4, 32, id="4 bits"),
        pytest.param(8, 32, id="8 bits"),
        pytest.param(8, 64, id="8 bits, groups of 64"),
        pytest.param(2, 32, id="2 bits"),
    ],
)
def test_the_bits_are_those_of_the_type(save: Save, bits: int, group: int) -> None:
    """Whatever else the configuration says."""
    path = ao(save, "IntxWeightOnlyConfig", weight_dtype=getattr(torch, f"int{bits}"), group=group)
    assert load_as_is(path).quantization.layers[0].bits == bits


@pytest.mark.parametrize(("scheme", "bits"), [("w4a16-g128", 4), ("w8a8", 8), ("w3a16", 3)])
def test_compressed_tensors_is_described(tmp_path: Path, scheme: str, bits: int) -> None:
    """Without what only this program writes: unpacked by transformers, and therefore no faster."""
    pytest.importorskip("compressed_tensors", reason="the package compressed-tensors is not installed")
    load(resolve(ModelSettings(name="demo")), find_recipe(scheme), device="cpu", export=tmp_path)
    (tmp_path / EXPORT_FILE).unlink()
    loaded = load_as_is(tmp_path)
    check_layers(loaded, bits=bits, execution="simulated")
    assert loaded.scheme == f"compressed-tensors, {bits} bits"
    stored = sum(tensor.nbytes for tensor in load_file(tmp_path / "model.safetensors").values())
    assert loaded.model_bytes == stored
    assert loaded.quantization.notes == (
        "no speed-up: transformers unpacks compressed-tensors checkpoints to floating point",
    )
    layer = loaded.quantization.layers[0]
    assert layer.bytes_after == 128 * 128 * bits // 8


@pytest.fixture(scope="module")
def write_gguf(tmp_path_factory: pytest.TempPathFactory) -> WriteGguf:
    """Write the embedded model, its linear layers quantized as one of the format's types; once per type."""
    made: dict[tuple[str, str], Path] = {}

    def write(kind: str, embedding: str = "F32") -> Path:
        if (kind, embedding) not in made:
            made[kind, embedding] = tmp_path_factory.mktemp("gguf") / "demo.gguf"
            _write_gguf(made[kind, embedding], kind, embedding)
        return made[kind, embedding]

    return write


def _write_gguf(file: Path, kind: str, embedding: str) -> None:
    config = json.loads((demo() / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    _add_tokenizer(writer)
    names: Any = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, tensor in load_file(demo() / "model.safetensors").items():
        array = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:  # llama.cpp interleaves the halves of a head
            array = np.ascontiguousarray(array.reshape(4, 2, 16, 128).swapaxes(1, 2).reshape(128, 128))
        used = "F32" if array.ndim == 1 else embedding if "embed" in name else kind
        dtype = gguf.GGMLQuantizationType[used]
        data = array if used == "F32" else gguf.quants.quantize(array, dtype)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), data, raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any) -> None:
    tokenizer = json.loads((demo() / "tokenizer.json").read_text(encoding="utf-8"))
    words = {**tokenizer["model"]["vocab"], **{row["content"]: row["id"] for row in tokenizer["added_tokens"]}}
    special = {row["id"] for row in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(words, key=lambda word: words[word]))
    writer.add_token_types([3 if at in special else 1 for at in range(len(words))])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(1)


def test_gguf_is_described(write_gguf: WriteGguf, original: torch.Tensor) -> None:
    """By its own list of tensors; computed in floating point, as large as the file."""
    file = write_gguf("Q8_0")
    loaded = load_as_is(file)
    quantization = loaded.quantization
    quantized = [layer for layer in quantization.layers if not layer.kept]
    assert {(layer.bits, layer.granularity, layer.execution) for layer in quantized} == {(8, "", "simulated")}
    assert quantization.notes == ("no speed-up: the file's Q8_0 blocks are unpacked to floating point",)
    assert (len(quantized), quantization.parameters) == (49, PARAMETERS)
    assert [layer.name for layer in quantization.layers if layer.kept] == ["token_embd.weight"]
    assert quantization.quantized_share == pytest.approx(LINEAR / PARAMETERS)
    assert quantization.bytes_after == LINEAR * 34 // 32
    assert (loaded.scheme, loaded.model_bytes, loaded.dtype) == ("gguf, 8 bits", file.stat().st_size, "float32")
    assert 0 < float((logits(loaded.model) - original).norm() / original.norm()) < 0.02


def test_gguf_is_rounded_again_while_it_is_unpacked(write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same integers as afterwards; the progress says that it is unpacked."""
    file, told = write_gguf("Q4_0"), list[LoadingProgress]()
    source = resolve(ModelSettings(name=str(file)))
    early = load(source, INT8, device="cpu", on_loading=told.append)
    monkeypatch.setattr(loading, "plan_early", lambda *_: None)
    late = load(source, INT8, device="cpu")
    assert torch.equal(logits(early.model), logits(late.model))
    assert early.quantization.layers == late.quantization.layers
    assert {one.action for one in told} == {
        f"unpacking demo.gguf, {file.stat().st_size / 10**6:.1f} MB, quantizing to int8"
    }
    assert told[-1].share == 1


@pytest.mark.parametrize("recipe", [FP32, BF16], ids=lambda recipe: recipe.name)
def test_gguf_is_unpacked_tensor_by_tensor(
    write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    """To what transformers unpacks at once, and does for an architecture with rules of its own."""
    source = resolve(ModelSettings(name=str(write_gguf("Q4_0"))))
    one_by_one = load(source, recipe, device="cpu").model.state_dict()
    monkeypatch.setattr(gguf_tensors, "_ONE_TO_ONE", frozenset())
    at_once = load(source, recipe, device="cpu").model.state_dict()
    assert one_by_one.keys() == at_once.keys()
    assert all(torch.equal(tensor, at_once[name]) for name, tensor in one_by_one.items())


def test_gguf_of_mixed_types_gives_their_mean(write_gguf: WriteGguf) -> None:
    """Embeddings that are quantized count, as they do in the file."""
    file = write_gguf("Q4_0", embedding="Q8_0")
    quantization = describe_gguf(file)
    assert quantization.quantized_layers == 50
    assert quantization.quantized_share == pytest.approx((LINEAR + HEAD) / PARAMETERS)
    assert scheme_of("gguf", quantization) == "gguf, 4.4 bits"


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        ("Q4_0", 4),
        ("Q8_0", 8),
        ("Q5_0", 5),
    ],
)
def test_gguf_bits_do_not_count_scales(write_gguf: WriteGguf, kind: str, bits: int) -> None:
    """A `LayerRecord` says bits per weight, scales not counted."""
    layers = describe_gguf(write_gguf(kind)).layers
    assert {layer.bits for layer in layers if not layer.kept} == {bits}


def test_gguf_can_be_given_another_recipe(write_gguf: WriteGguf, tmp_path: Path) -> None:
    """Its blocks are unpacked first; the recipe's own facts are reported then."""
    source = resolve(ModelSettings(name=str(write_gguf("Q8_0"))))
    loaded = load(source, find_recipe("int8"), device="cpu", export=tmp_path / "out")
    assert (loaded.scheme, loaded.quantization.execution, loaded.quantization.quantized_layers) == (
        "W8A8",
        "native",
        49,
    )
    assert all(
        "made from a GGUF file's blocks unpacked to floating point" in note for note in loaded.quantization.notes
    )
    assert len(loaded.quantization.notes) == 1
    assert torch.equal(logits(load_as_is(tmp_path / "out").model), logits(loaded.model))


@pytest.mark.parametrize("recipe", ["original", "bf16"])
def test_gguf_is_described_whatever_its_recipe_is_called(write_gguf: WriteGguf, recipe: str) -> None:
    """Nothing more is rounded, and it is not in full precision either."""
    source = resolve(ModelSettings(name=str(write_gguf("Q4_0"))))
    loaded = load(source, find_recipe(recipe), device="cpu")
    assert (loaded.scheme, loaded.quantization.execution) == ("gguf, 4 bits", "simulated")
    layer = next(layer for layer in loaded.quantization.layers if not layer.kept)
    assert layer.bytes_before == loaded.model.dtype.itemsize * layer.shape[0] * layer.shape[1]


def test_unpacking_says_nothing(write_gguf: WriteGguf, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither does its bar."""
    file = write_gguf("Q8_0")
    capfd.readouterr()
    load_as_is(file)
    assert capfd.readouterr() == ("", "")


def test_the_experts_of_a_gguf_file_are_counted(tmp_path: Path) -> None:
    """They are one tensor of matrices per layer, and most of the model."""
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "qwen2moe")
    rng = np.random.default_rng(0)
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, shape in (("token_embd.weight", (8, 32)), ("blk.0.ffn_up_exps.weight", (4, 16, 32))):
        data = rng.normal(size=shape).astype(np.float32)
        packed = name.endswith("exps.weight")
        writer.add_tensor(name, gguf.quants.quantize(data, q8) if packed else data, raw_dtype=q8 if packed else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    quantization = describe_gguf(tmp_path / "m.gguf")
    experts = next(layer for layer in quantization.layers if not layer.kept)
    assert (experts.name, experts.shape, experts.bits) == ("blk.0.ffn_up_exps.weight", (4 * 16, 32), 8)
    assert quantization.quantized_share == 4 * 16 / (4 * 16 + 8)
    assert quantization.share_outside_embeddings == 1


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("Q6_K", 6), ("IQ4_XS", 4), ("IQ2_XXS", 2), ("Q8_K", 8), ("MXFP4", 4), ("TQ1_0", 1), ("BF16", 16), ("F32", 32)],
)
def test_gguf_bits_are_in_the_types_name(kind: str, bits: int) -> None:
    assert gguf_bits(kind) == bits
    assert hasattr(gguf.GGMLQuantizationType, kind)


def test_quantized_scales_of_bitsandbytes_are_counted(save: Save) -> None:
    """At least a byte for every 64 weights, and the table."""
    pytest.importorskip("bitsandbytes", reason="the bitsandbytes extra is not installed")
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    layer = load_as_is(save("double", config)).quantization.layers[0]
    assert layer.bytes_after >= 128 * 128 // 2 + 128 * 128 // 64 + 4 * 16
    assert (layer.bits, layer.bytes_before) == (4, 4 * 128 * 128)


def test_the_row_scales_of_bitsandbytes_are_counted(save: Save) -> None:
    """LLM.int8() keeps one float32 per row beside the weight."""
    pytest.importorskip("bitsandbytes", reason="the bitsandbytes extra is not installed")
    loaded = load_as_is(save("llm-int8", BitsAndBytesConfig(load_in_8bit=True)))
    layer = loaded.quantization.layers[0]
    assert (layer.bits, layer.bytes_after) == (8, 128 * 128 + 4 * 128)
    kept = 4 * (PARAMETERS - LINEAR)
    assert loaded.model_bytes >= kept + loaded.quantization.bytes_after


class Packed(nn.Module):
    """A layer as GPTQ has it, with its weight, its scales and a bias in buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.out_features = 64, 32
        self.register_buffer("qweight", torch.zeros(8, 32, dtype=torch.int32))
        self.register_buffer("scales", torch.zeros(1, 32, dtype=torch.float16))
        self.register_buffer("bias", torch.zeros(32, dtype=torch.float16))


@pytest.mark.parametrize("config", [{"bits": 4}, {}], ids=["stated", "counted"])
def test_packed_words_are_counted(config: dict[str, int]) -> None:
    """What a format packs in words of 32; bits are those that are stated, or those that are held."""
    layer = describe_prequantized(nn.Sequential(Packed()), "gptq", config).layers[0]
    assert (layer.bits, layer.bytes_before, layer.bytes_after) == (4, 4 * 64 * 32, 8 * 32 * 4 + 32 * 2)
    assert (layer.granularity, layer.execution) == ("", "native")


def layer_of(bits: int, columns: int, *, kept: bool = False) -> LayerRecord:
    return LayerRecord(name="a", shape=(10, columns), bits=bits, kept=kept, bytes_before=0, bytes_after=0)


@pytest.mark.parametrize(
    ("layers", "scheme"),
    [
        pytest.param((), "awq", id="nothing"),
        pytest.param((layer_of(32, 8, kept=True),), "awq", id="kept only"),
        pytest.param((layer_of(4, 8), layer_of(32, 80, kept=True)), "awq, 4 bits", id="one width"),
        pytest.param((layer_of(4, 30), layer_of(8, 10)), "awq, 5 bits", id="mean by weights"),
    ],
)
def test_the_scheme_is_the_method_and_the_mean_bits(layers: tuple[LayerRecord, ...], scheme: str) -> None:
    """Kept layers do not count."""
    assert scheme_of("awq", Quantization(layers=layers, parameters=1, duration_s=0.0)) == scheme


def test_a_bias_is_no_part_of_the_bytes() -> None:
    """A `LayerRecord` counts the weight alone."""
    layer = describe_prequantized(nn.Sequential(nn.Linear(8, 4)), "some", {}).layers[0]
    assert (layer.kept, layer.bytes_before, layer.bytes_after) == (True, 128, 128)
