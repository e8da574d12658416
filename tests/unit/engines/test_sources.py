"""What `--qeval-model` may name, and how everything else is refused. No network, no torch."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import huggingface_hub
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qeval.engines.fit.loading_peak import held_while_loading
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.engines.fit.weights import model_bytes
from pytest_qeval.engines.hf.memory_check import check_memory
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import MissingPackageError, ModelSourceError
from pytest_qeval.quantize.builtin import AUTO, BF16, FP32
from pytest_qeval.quantize.checkpoints.weight_files import gguf_end_tokens, gguf_text, gguf_type
from pytest_qeval.quantize.recipe import Dtype
from pytest_qeval.settings import ModelSettings

CAUSAL = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}


def find(name: Path | str, **fields: Any) -> ModelSource:
    return resolve(ModelSettings(name=str(name), **fields))


def estimate_bytes(source: ModelSource, dtype: Dtype) -> int:
    """Return the bytes of the weights that are loaded before anything is quantized."""
    shape, recipe = shape_of(source), replace(AUTO, dtype=dtype)
    return held_while_loading(shape, recipe, model_bytes(shape, recipe))


def write_safetensors(file: Path, shapes: Mapping[str, tuple[int, ...]], *, dtype: str = "BF16") -> None:
    """Write a file of zeros: a header's length, the header, the data."""
    size, end, header = {"U8": 1, "I8": 1, "BF16": 2, "F32": 4, "I32": 4}[dtype], 0, {}
    for name, shape in shapes.items():
        begin, end = end, end + size * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    raw = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(end))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A model directory of 1200 elements in two tensors."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CAUSAL))
    write_safetensors(path / "model.safetensors", {"a": (10, 100), "b": (200,)})
    return path


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    """A GGUF file of 1200 elements with metadata of every shape."""
    file = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(128)
    writer.add_array("words", ["one", "two", "three"])
    writer.add_array("numbers", [1, 2, 3])
    writer.add_float64("ratio", 0.5)
    writer.add_bool("flag", val=True)
    writer.add_string("note", "after the arrays")
    writer.add_tensor("a", np.zeros((10, 100), dtype=np.float32))
    writer.add_tensor("b", np.zeros(200, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_a_directory_is_found(directory: Path) -> None:
    assert find(directory) == ModelSource(kind="directory", name=str(directory), path=directory)
    assert find(directory).location == str(directory)


def test_a_gguf_file_is_found(gguf_file: Path) -> None:
    assert find(gguf_file) == ModelSource(kind="gguf", name=str(gguf_file), path=gguf_file, stored="gguf")
    assert find(gguf_file).location == str(gguf_file.parent)


def test_the_demo_is_a_directory_of_the_package() -> None:
    source = find("demo")
    assert (source.kind, source.path is not None and source.path.parts[-2:]) == ("demo", ("demo", "model"))


def test_shards_are_found_through_their_index(directory: Path) -> None:
    """And a shard that is missing is named."""
    (directory / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    write_safetensors(directory / "model-1.safetensors", {"a": (5, 4)})
    with pytest.raises(ModelSourceError, match=r"lacks 1 of 2 weight files.*model-2\.safetensors"):
        find(directory)
    write_safetensors(directory / "model-2.safetensors", {"b": (3,)}, dtype="F32")
    assert estimate_bytes(find(directory), "bfloat16") == 20 * 2 + 3 * 2


def _drop_weights(directory: Path) -> None:
    (directory / "model.safetensors").unlink()


def _pickle_weights(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def _cut_data(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def _cut_header(directory: Path) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:20])


def _cut_length(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"abc")


def _garble_header(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", 8) + b"no json!" + bytes(100))


def _garble_index(directory: Path) -> None:
    _drop_weights(directory)
    (directory / "model.safetensors.index.json").write_text("[]")


def _drop_config(directory: Path) -> None:
    (directory / "config.json").unlink()


def _leave_gguf(directory: Path) -> None:
    (directory / "config.json").unlink()
    (directory / "tiny.gguf").write_bytes(b"GGUF")


def _garble_config(directory: Path) -> None:
    (directory / "config.json").write_text("{")


def _list_config(directory: Path) -> None:
    (directory / "config.json").write_text("[]")


def _encoder_decoder(directory: Path) -> None:
    config = {"architectures": ["T5EncoderModel"], "is_encoder_decoder": True}
    (directory / "config.json").write_text(json.dumps(config))


def _encoder(directory: Path) -> None:
    (directory / "config.json").write_text(json.dumps({"architectures": ["BertForMaskedLM"]}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_drop_weights, "no weights: expected model.safetensors"),
        (_pickle_weights, "pickle form only"),
        (_cut_data, "not a whole safetensors file .incomplete metadata"),
        (_cut_header, "not a whole safetensors file .invalid header length"),
        (_cut_length, "not a whole safetensors file .header too small"),
        (_garble_header, "not a whole safetensors file .invalid JSON in header"),
        (_garble_index, "not a weight index"),
        (_drop_config, "no config.json"),
        (_leave_gguf, "no config.json.* It has tiny.gguf"),
        (_garble_config, "not JSON"),
        (_list_config, "not a JSON object"),
        (_encoder_decoder, r"without a head that generates text \(T5EncoderModel\)"),
        (_encoder, r"not a causal language model \(BertForMaskedLM\) and not supported yet"),
    ],
)
def test_a_broken_directory_is_refused(directory: Path, damage: Callable[[Path], None], message: str) -> None:
    """Before anything is loaded, with what is wrong."""
    damage(directory)
    with pytest.raises(ModelSourceError, match=message):
        find(directory)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"PK\x03\x04zip")
    with pytest.raises(ModelSourceError, match=r"not a GGUF file: it begins with b'PK"):
        find(file)


def test_a_missing_path_suggests_its_neighbours(directory: Path) -> None:
    with pytest.raises(ModelSourceError, match=r"Did you mean .*/model\?"):
        find(directory.with_name("modle"))
    with pytest.raises(ModelSourceError, match=r"the directory .*/nowhere does not exist either"):
        find(directory.parent / "nowhere" / "model")


@pytest.mark.parametrize("name", ["./model", "~/no/such", "org/name/more", "model.gguf", "../x"])
def test_a_path_is_never_looked_up_on_the_hub(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", None)
    with pytest.raises(ModelSourceError):
        find(name)


def test_what_is_neither_path_nor_id_is_refused() -> None:
    with pytest.raises(ModelSourceError, match="is not a model: expected `demo`"):
        find("two words")


def test_a_revision_of_a_local_model_is_refused(directory: Path) -> None:
    with pytest.raises(ModelSourceError, match="revision 'main' was given for the local model"):
        find(directory, revision="main")


def test_memory_is_estimated_from_headers(directory: Path, gguf_file: Path) -> None:
    """A GGUF file is unpacked tensor by tensor, each to the type that is wanted."""
    safetensors, packed = find(directory), find(gguf_file)
    assert [estimate_bytes(safetensors, dtype) for dtype in ("checkpoint", "float32", "bfloat16")] == [4800, 4800, 2400]
    assert [estimate_bytes(packed, dtype) for dtype in ("checkpoint", "float32", "bfloat16")] == [4800, 4800, 2400]


@pytest.mark.parametrize(
    ("stated", "stored", "expected"),
    [
        ({}, "BF16", 4800),
        ({"dtype": "bfloat16"}, "BF16", 2400),
        ({"torch_dtype": "float16"}, "F32", 2400),
        ({"dtype": "float32"}, "BF16", 4800),
        ({"dtype": None}, "F32", 4800),
        ({"dtype": "bfloat16"}, "U8", 1200),
        ({"dtype": "bfloat16"}, "I32", 4800),
    ],
    ids=["none, half", "half, half", "half, float", "float, half", "null, float", "bytes", "words"],
)
def test_a_checkpoint_is_loaded_in_the_type_of_its_config(
    directory: Path, stated: dict[str, object], stored: str, expected: int
) -> None:
    """Float32 where it names none, whatever is stored; integers stay as they are. It is so, and budgeted so."""
    (directory / "config.json").write_text(json.dumps({**CAUSAL, **stated}))
    write_safetensors(directory / "model.safetensors", {"a": (10, 100), "b": (200,)}, dtype=stored)
    assert estimate_bytes(find(directory), "checkpoint") == expected


@pytest.mark.parametrize("bits", [8, 4])
def test_an_exported_checkpoint_has_no_floats_beside_its_integers(directory: Path, bits: int) -> None:
    """Layers of an unknown kind are counted in floating point."""
    schemes = {"weights": {"bits": 8}, "rules": [{"pattern": "*", "weights": {"bits": bits}}]}
    recipe = {"name": "own", "summary": "", **schemes}
    (directory / "qeval.json").write_text(json.dumps({"version": 1, "recipe": recipe}))
    (directory / "config.json").write_text(json.dumps({**CAUSAL, "dtype": "bfloat16"}))
    name, stored = ("l.weight", "I8") if bits == 8 else ("l.weight_packed", "I32")
    write_safetensors(directory / "model.safetensors", {name: (10, bits)}, dtype=stored)  # 8 columns, or 32
    assert estimate_bytes(find(directory), "checkpoint") == (80 if bits == 8 else 320) * 2


def test_a_model_that_does_not_fit_is_refused_with_numbers(directory: Path) -> None:
    source = find(directory)
    check_memory(source, FP32, available_bytes=4800)
    with pytest.raises(ModelSourceError, match=r"needs about 0\.0 GiB .* memory are free\. .*choose the recipe bf16"):
        check_memory(source, FP32, available_bytes=4799)
    with pytest.raises(ModelSourceError, match=r"free on cuda:0\. Close other programs, .*; choose a smaller model"):
        check_memory(source, BF16, available_bytes=2399, device="cuda:0")


@pytest.mark.parametrize("kept", [4, 30, 60, 200, -1000])
def test_a_gguf_file_that_is_cut_short_is_refused(gguf_file: Path, kept: int) -> None:
    """Within its header or within its data, in one sentence."""
    gguf_file.write_bytes(gguf_file.read_bytes()[:kept])
    with pytest.raises(ModelSourceError, match=r"not a whole GGUF file \(cut short or damaged\): fetch it again"):
        estimate_bytes(find(gguf_file), "float32")


@given(changes=st.lists(st.tuples(st.integers(4, 400), st.integers(0, 255)), min_size=1, max_size=20))
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_gguf_file_raises_nothing_else(gguf_file: Path, changes: list[tuple[int, int]]) -> None:
    """Whatever bytes stand in its header."""
    content = bytearray(gguf_file.read_bytes())
    for at, value in changes:
        content[at] = value
    damaged = gguf_file.with_name("damaged.gguf")
    damaged.write_bytes(content)
    with suppress(ModelSourceError):
        estimate_bytes(find(damaged), "float32")


def test_texts_of_a_gguf_file_are_found(gguf_file: Path) -> None:
    """Those that stand behind arrays too; a number is not a text."""
    assert gguf_text(gguf_file, "general.architecture") == "llama"
    assert gguf_text(gguf_file, "note") == "after the arrays"
    assert gguf_text(gguf_file, "ratio") is None
    assert gguf_text(gguf_file, "nowhere") is None


def test_the_type_of_most_weights_of_a_gguf_file_is_found(gguf_file: Path, tmp_path: Path) -> None:
    """Vectors are not among them."""
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "llama")
    writer.add_tensor("a", np.zeros((2, 320), dtype=np.float32))
    writer.add_tensor("b", np.zeros(9999, dtype=np.float16))
    packed = gguf.GGMLQuantizationType.Q8_0
    writer.add_tensor("c", gguf.quants.quantize(np.zeros((3, 320), dtype=np.float32), packed), raw_dtype=packed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    assert (gguf_type(gguf_file), gguf_type(tmp_path / "m.gguf")) == ("F32", "Q8_0")
    found = [TRANSFORMERS.describe(find(file))["quantization"] for file in (gguf_file, tmp_path / "m.gguf")]
    assert found == ["", "gguf Q8_0"]


def test_the_end_tokens_of_a_gguf_file_are_found(tmp_path: Path) -> None:
    """A chat model ends its turn by another token than a text."""
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "llama")
    writer.add_token_list(["a", "</s>", "<turn>"])
    writer.add_eos_token_id(1)
    writer.add_eot_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert gguf_end_tokens(tmp_path / "m.gguf") == [1, 2]


@pytest.mark.parametrize("package", ["gguf", "safetensors"])
def test_a_missing_package_is_named(
    directory: Path, gguf_file: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"'{package}'.*pytest-qeval\[transformers\]"):
        estimate_bytes(find(gguf_file if package == "gguf" else directory), "float32")


def test_finding_a_model_imports_no_torch() -> None:
    code = (
        "import sys, pytest_qeval.engines.hf.memory_check; print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("architecture", ["T5ForConditionalGeneration", "T5WithLMHeadModel", "MarianMTModel", None])
def test_a_model_with_an_encoder_is_known_from_its_config(directory: Path, architecture: str | None) -> None:
    """Before anything is loaded; a model without one is told apart."""
    assert not resolve(ModelSettings(name=str(directory))).encoder_decoder
    config = {"is_encoder_decoder": True, "model_type": "t5"} | (
        {"architectures": [architecture]} if architecture else {}
    )
    (directory / "config.json").write_text(json.dumps(config))
    assert resolve(ModelSettings(name=str(directory))).encoder_decoder
