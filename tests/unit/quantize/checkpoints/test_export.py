"""An exported checkpoint is the same model again here, and the same one for every other reader of the format."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, LlamaConfig, Qwen2Config
from transformers.utils import logging as transformers_logging

from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import ModelSourceError, RecipeError, UsageError
from pytest_qeval.quantize.builtin import AS_IS
from pytest_qeval.quantize.checkpoints import export as export_module
from pytest_qeval.quantize.checkpoints.atomic_folder import replace_folder
from pytest_qeval.quantize.checkpoints.export import Exporter
from pytest_qeval.quantize.checkpoints.reader import read_checkpoint
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.recipe import EXPORT_FILE, Recipe
from pytest_qeval.settings import ModelSettings

TEXTS = CalibrationTexts(
    texts=(
        'def add(a, b):\n    """Give the sum."""\n    return a + b\n',
        "def last(items):\n    return items[-1]\n",
        "class Point:\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n",
        "for i in range(10):\n    total += i\n",
    ),
    source="test",
    sha256="",
    seed=0,
)
MIXED = """
scheme = "w8a8-static-mse"

[calibration]
samples = 4
new_tokens = 4

[[layers]]
pattern = "*.0.*"
scheme = "kept"

[[layers]]
pattern = "down_proj"
scheme = "w4a16-g32"

[[layers]]
pattern = "v_proj"
scheme = "w3a16"
"""
SCHEMES = (
    *("int8", "w8a8-static-mse-n4", "w8a8-static-mse-asym-n4", "w4a8", "w8a8-tensor", "mixed.toml"),
    *("w4a16-g128", "w3a16", "w8a16", "w6a16-g32-mse", "w4a16-tensor", "w8a16+lm_head"),
)
WEIGHT_ONLY = [scheme for scheme in SCHEMES if "a16" in scheme]


class Exported(NamedTuple):
    """A model that was quantized and written, and what the directory gives."""

    directory: Path
    first: Loaded
    again: Loaded


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Keep the bars of transformers off the terminal."""
    transformers_logging.disable_progress_bar()
    yield
    transformers_logging.enable_progress_bar()


def load_as(name: Path | str, recipe: Recipe, **arguments: Any) -> Loaded:
    texts = TEXTS if recipe.calibration else None
    return load(resolve(ModelSettings(name=str(name))), recipe, device="cpu", texts=texts, **arguments)


def logits(model: Any) -> torch.Tensor:
    """Run rows of different tokens through a model."""
    tokens = torch.arange(60).mul(37).remainder(250).reshape(3, 20) + 2
    with torch.inference_mode():
        result: torch.Tensor = model(input_ids=tokens).logits.float()
    return result


def error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """Quantize the embedded model, write it, and load it again; once per recipe."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "mixed.toml").write_text(MIXED, encoding="utf-8")
    made: dict[str, Exported] = {}

    def make(scheme: str) -> Exported:
        if scheme not in made:
            recipe = find_recipe(str(folder / scheme) if scheme.endswith(".toml") else scheme)
            directory = folder / recipe.name
            first = load_as("demo", recipe, export=directory)
            made[scheme] = Exported(directory, first, load_as(directory, AS_IS))
        return made[scheme]

    return make


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_logits_are_the_very_same(export: Callable[[str], Exported], scheme: str) -> None:
    """Bit by bit, by the same kernels."""
    _, first, again = export(scheme)
    assert torch.equal(logits(again.model), logits(first.model))
    assert again.quantization.execution == first.quantization.execution


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_facts_are_those_of_the_recipe(export: Callable[[str], Exported], scheme: str) -> None:
    """Whoever evaluates it as it is reads what was done, not that somebody else did it."""
    _, first, again = export(scheme)
    assert (again.recipe, again.scheme) == (first.recipe, first.scheme)
    assert again.quantization.layers == first.quantization.layers
    assert again.quantization.parameters == first.quantization.parameters
    assert (again.model_bytes, again.dtype) == (first.model_bytes, first.dtype)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_bytes_on_disk_are_those_of_the_weight_file(export: Callable[[str], Exported], scheme: str) -> None:
    """And fewer than before; nothing is said of a checkpoint that was only read."""
    directory, first, again = export(scheme)
    original = (resolve(ModelSettings(name="demo")).path or Path()) / "model.safetensors"
    assert first.disk_bytes == (directory / "model.safetensors").stat().st_size
    assert first.disk_bytes < 0.45 * original.stat().st_size
    assert again.disk_bytes is None


@pytest.mark.parametrize("scheme", ["w8a8-static-mse-n4", "w8a8-static-mse-asym-n4", "mixed.toml"])
def test_static_ranges_are_stored_exactly(export: Callable[[str], Exported], scheme: str) -> None:
    """Nothing is calibrated a second time."""
    directory, first, again = export(scheme)
    assert first.calibration is not None
    assert first.calibration.ranges
    assert read_checkpoint(directory).content.ranges == first.calibration.ranges
    assert again.calibration is None


def test_layers_of_different_bits_are_stored_as_such(export: Callable[[str], Exported]) -> None:
    """The recipe file's rules are in the file, and in the format's own groups."""
    directory, _, again = export("mixed.toml")
    bits = {layer.name.split("layers.")[-1]: (layer.bits, layer.kept) for layer in again.quantization.layers}
    assert bits["0.mlp.down_proj"] == (32, True)
    assert bits["1.mlp.down_proj"] == (4, False)
    assert bits["1.self_attn.v_proj"] == (3, False)
    assert bits["1.self_attn.q_proj"] == (8, False)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    assert sorted(group["weights"]["num_bits"] for group in config["config_groups"].values()) == [3, 4, 8]
    assert "model.layers.0.mlp.down_proj" in config["ignore"]


def test_a_tied_output_layer_is_stored_once(export: Callable[[str], Exported]) -> None:
    """It is the embeddings' memory, on disk and when it is loaded again."""
    directory, _, again = export("int8")
    assert "lm_head.weight" not in load_file(directory / "model.safetensors")
    head = again.model.lm_head.weight  # packed since the first product
    assert torch.equal(head.to_dense() if head.is_mkldnn else head, again.model.model.embed_tokens.weight)


def test_an_older_export_is_overwritten(export: Callable[[str], Exported], tmp_path: Path) -> None:
    """Into a folder of the same name."""
    for scheme in ("w3a16", "w8a16"):
        first = load_as("demo", find_recipe(scheme), export=tmp_path)
    assert torch.equal(logits(load_as(tmp_path, AS_IS).model), logits(first.model))


SIZE: Mapping[str, Any] = {
    "vocab_size": 1280,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "eos_token_id": 0,
    "bos_token_id": None,
    "initializer_range": 0.3,
}
FAMILIES = {
    "tied, with biases": Qwen2Config(**SIZE, tie_word_embeddings=True),
    "untied": LlamaConfig(**SIZE, tie_word_embeddings=False),
    "Conv1D": GPT2Config(
        n_embd=48, n_layer=2, n_head=4, n_positions=128, vocab_size=1280, eos_token_id=0, initializer_range=0.3
    ),
}


@pytest.fixture(scope="module")
def random_models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Write a random model of each family, once in float32 and once in bfloat16."""
    tokenizer = AutoTokenizer.from_pretrained(resolve(ModelSettings(name="demo")).location)
    paths = {}
    for family, config in FAMILIES.items():
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            path = tmp_path_factory.mktemp("random")
            model = AutoModelForCausalLM.from_config(config, dtype=dtype)
            for name, parameter in model.named_parameters():
                if name.endswith(".bias"):
                    nn.init.normal_(parameter, std=0.3)
            model.save_pretrained(path)
            tokenizer.save_pretrained(path)
            paths[f"{family}, {dtype}"] = path
    return paths


@pytest.mark.parametrize("scheme", ["int8", "w3a16+lm_head", "w4a16-g32", "w8a8-g32+lm_head", "w8a8-static-n4"])
@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_other_architectures_come_back_too(
    random_models: Mapping[str, Path], tmp_path: Path, family: str, dtype: str, scheme: str
) -> None:
    """Biases, tied and untied output layers, transposed weights, and groups that do not divide a row."""
    path = random_models[f"{family}, {dtype}"]
    try:
        first = load_as(path, find_recipe(scheme), export=tmp_path / "out")
    except RuntimeError as error:
        if "pack_vnni2" not in str(error):
            raise
        # torch 2.13 with ATEN_CPU_CAPABILITY=default on a CPU with AMX
        pytest.skip("torch cannot compute attention in bfloat16 for this setting of the CPU")
    again = load_as(tmp_path / "out", AS_IS)
    assert torch.equal(logits(again.model), logits(first.model))
    assert again.quantization.layers == first.quantization.layers
    assert again.dtype == first.dtype == dtype.removeprefix("torch.")


def from_other_reader(directory: Path) -> Any:
    """Load with transformers and compressed-tensors, as anybody would."""
    pytest.importorskip("compressed_tensors", reason="the package compressed-tensors is not installed")
    return AutoModelForCausalLM.from_pretrained(directory).eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", WEIGHT_ONLY)
def test_transformers_reads_the_same_weights(export: Callable[[str], Exported], scheme: str) -> None:
    """Where only weights are rounded, nothing else can differ."""
    directory, first, _ = export(scheme)
    assert error(logits(from_other_reader(directory)), logits(first.model)) < 1e-4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme not in WEIGHT_ONLY])
def test_transformers_reads_the_same_activations_but_for_its_grid(
    export: Callable[[str], Exported], scheme: str
) -> None:
    """compressed-tensors' grid has one value more, -128; it is measurably not the unquantized model."""
    directory, first, _ = export(scheme)
    expected = logits(first.model)
    original = logits(load_as("demo", find_recipe("fp32")).model)
    actual = logits(from_other_reader(directory))
    assert error(actual, expected) < 0.05
    assert error(actual, original) > 0.005


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "scheme"),
    [("Conv1D", "w4a16-g16"), ("Conv1D", "int8"), ("untied", "w4a16-g32"), ("untied", "w8a8-g64")],
    ids=["Conv1D", "Conv1D, 8 bits", "last group shorter", "group longer than a row"],
)
def test_no_other_reader_makes_up_weights(
    random_models: Mapping[str, Path], tmp_path: Path, family: str, scheme: str
) -> None:
    """What the format has no word for is written for this program alone."""
    load_as(random_models[f"{family}, torch.float32"], find_recipe(scheme), export=tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert config["quantization_config"]["quant_method"] == "qeval"
    assert resolve(ModelSettings(name=str(tmp_path / "out"))).stored == "qeval"
    with pytest.raises(OSError, match=r"no file named"):
        from_other_reader(tmp_path / "out")


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    """A folder that holds no export is somebody's."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("all of it", encoding="utf-8")
    with pytest.raises(UsageError, match=r"out holds something other than an export \(there is no qeval\.json\)"):
        load_as("demo", find_recipe("w8a16"), export=tmp_path / "out")
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["out", "thesis.txt"]


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("all of it", encoding="utf-8")
    with pytest.raises(UsageError, match="something other than an export"):
        load_as("demo", find_recipe("w8a16"), export=tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "all of it"


@pytest.mark.parametrize(
    "failing", [OSError("No space left"), SafetensorError("No space left")], ids=["system", "file"]
)
def test_a_disk_that_is_full_leaves_the_earlier_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: Exception
) -> None:
    """One sentence, and nothing unfinished."""
    load_as("demo", find_recipe("w8a16"), export=tmp_path / "out")

    def fail(_: object, file: Path, __: object) -> None:
        file.write_bytes(b"half")
        raise failing

    monkeypatch.setattr(export_module, "save_file", fail)
    with pytest.raises(UsageError, match=r"^the quantized checkpoint cannot be written to .*out: No space left$"):
        load_as("demo", find_recipe("w3a16"), export=tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert read_checkpoint(tmp_path / "out").content.recipe.name == "w8a16"


def test_a_folder_that_cannot_be_taken_leaves_the_earlier_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put aside for the new one is put back."""
    load_as("demo", find_recipe("w8a16"), export=tmp_path / "out")
    original = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target.name == "out" and (self / EXPORT_FILE).is_file() and '"bits": 3' in (self / EXPORT_FILE).read_text():
            raise PermissionError(13, "not allowed")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(UsageError, match="not allowed"):
        load_as("demo", find_recipe("w3a16"), export=tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert read_checkpoint(tmp_path / "out").content.recipe.name == "w8a16"


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    """All files and the folder, alike."""
    before = os.umask(0o027)
    try:
        load_as("demo", find_recipe("w8a16"), export=tmp_path / "out")
    finally:
        os.umask(before)
    modes = {entry.stat().st_mode & 0o777 for entry in (tmp_path / "out").iterdir()}
    assert (modes, (tmp_path / "out").stat().st_mode & 0o777) == ({0o640}, 0o750)


def test_two_exports_at_once_both_end_well(tmp_path: Path) -> None:
    """One of them lies there in the end, whole."""

    def take(at: int) -> None:
        for round_ in range(40):
            made = tmp_path / f"made-{at}-{round_}"
            made.mkdir()
            for name in (EXPORT_FILE, "a", "b"):
                (made / name).write_text(f"{at}", encoding="utf-8")
            replace_folder(made, tmp_path / "out", mark=EXPORT_FILE)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(take, range(3)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert len({(tmp_path / "out" / name).read_text(encoding="utf-8") for name in (EXPORT_FILE, "a", "b")}) == 1


def test_another_packages_recipe_is_refused() -> None:
    """Before it is applied; the sentence says whose it is."""
    recipe = Recipe(name="torchao:Some", summary="", quantizer="torchao", config="Some")
    with pytest.raises(RecipeError, match=r"^--qeval-export writes this package's own schemes; .* torchao's to write"):
        Exporter(nn.Sequential(nn.Linear(8, 8)), recipe)


def change(**values: Any) -> Callable[[Path], None]:
    """Change keys of qeval.json."""

    def apply(path: Path) -> None:
        content = json.loads((path / EXPORT_FILE).read_text(encoding="utf-8"))
        (path / EXPORT_FILE).write_text(json.dumps({**content, **values}), encoding="utf-8")

    return apply


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        (path / name).write_bytes(content)

    return apply


def cut(name: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        (path / name).write_bytes((path / name).read_bytes()[:-100])

    return apply


def remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def drop(name: str) -> Callable[[Path], None]:
    """Leave a tensor out."""

    def apply(path: Path) -> None:
        tensors = load_file(path / "model.safetensors")
        save_file(
            {key: tensor.clone() for key, tensor in tensors.items() if key != name},
            path / "model.safetensors",
            {"format": "pt"},
        )

    return apply


def narrow(path: Path) -> None:
    """Cut the columns of one packed weight."""
    tensors = load_file(path / "model.safetensors")
    tensors[f"{LAYER}.weight_packed"] = tensors[f"{LAYER}.weight_packed"][:, :3].contiguous()
    save_file(tensors, path / "model.safetensors", {"format": "pt"})


def configure(**values: Any) -> Callable[[Path], None]:
    """Change keys of config.json."""

    def apply(path: Path) -> None:
        content = json.loads((path / "config.json").read_text(encoding="utf-8"))
        (path / "config.json").write_text(json.dumps({**content, **values}), encoding="utf-8")

    return apply


def forget_quantization(path: Path) -> None:
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    del config["quantization_config"]
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")


LAYER = "model.layers.0.mlp.up_proj"
BROKEN: Mapping[str, Callable[[Path], None]] = {
    "cut short": cut(EXPORT_FILE),
    "empty": write(EXPORT_FILE, b""),
    "a list": write(EXPORT_FILE, b"[]"),
    "not UTF-8": write(EXPORT_FILE, b"\xff\xfe"),
    "no recipe": change(recipe={}),
    "unknown scheme": change(recipe={"weights": {"bits": 99}, "calibration": None}),
    "ranges are numbers": change(ranges={"a": 3}),
    "transposed is a number": change(transposed=3),
    "no weights": remove("model.safetensors"),
    "weights cut short": cut("model.safetensors"),
    "weights are junk": write("model.safetensors", b"junk" * 100),
    "no packed weight": drop(f"{LAYER}.weight_packed"),
    "no shape": drop(f"{LAYER}.weight_shape"),
    "no config": remove("config.json"),
    "no tokenizer": remove("tokenizer.json"),
    "ranges are a list": change(ranges=[]),
    "transposed names no layer": change(transposed=["head"]),
    "no scales": drop(f"{LAYER}.weight_scale"),
    "packed too narrowly": narrow,
    "no norm": drop("model.norm.weight"),
    "more layers in config": configure(num_hidden_layers=9),
    "larger layers in config": configure(intermediate_size=512),
}


def load_broken(export: Callable[[str], Exported], directory: Path, harm: Callable[[Path], None]) -> str:
    """Break a copy, load it, and give what is said."""
    shutil.copytree(export("w4a16-g128").directory, directory)
    harm(directory)
    with pytest.raises(ModelSourceError) as refusal:
        load_as(directory, AS_IS)
    return str(refusal.value)


@pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN)
def test_a_broken_export_is_refused(
    export: Callable[[str], Exported], tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """In one sentence that names the directory."""
    message = load_broken(export, tmp_path / "broken", harm)
    assert str(tmp_path / "broken") in message
    assert "\n" not in message


def test_an_export_whose_config_lost_its_quantization_is_still_one(
    export: Callable[[str], Exported], tmp_path: Path
) -> None:
    """It is all in the other file."""
    directory, first, _ = export("w4a16-g128")
    shutil.copytree(directory, tmp_path / "out")
    forget_quantization(tmp_path / "out")
    assert resolve(ModelSettings(name=str(tmp_path / "out"))).stored == "qeval"
    assert torch.equal(logits(load_as(tmp_path / "out", AS_IS).model), logits(first.model))


def test_a_layer_without_integers_is_named(export: Callable[[str], Exported], tmp_path: Path) -> None:
    """8-bit integers without their scales are no floats."""
    shutil.copytree(export("int8").directory, tmp_path / "broken")
    drop(f"{LAYER}.weight_scale")(tmp_path / "broken")
    with pytest.raises(ModelSourceError, match=rf"holds no integers for {LAYER}"):
        load_as(tmp_path / "broken", AS_IS)


@pytest.mark.parametrize("content", [b"", b"junk" * 100], ids=["empty", "junk"])
def test_reading_says_what_is_cut_short(export: Callable[[str], Exported], tmp_path: Path, content: bytes) -> None:
    """`read_checkpoint` promises ModelSourceError, whoever calls it."""
    shutil.copytree(export("w4a16-g128").directory, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelSourceError):
        read_checkpoint(tmp_path / "broken")


def test_a_newer_version_is_refused(export: Callable[[str], Exported], tmp_path: Path) -> None:
    """With what to do about it."""
    message = load_broken(export, tmp_path / "broken", change(version=2))
    assert message == (
        f"{tmp_path / 'broken' / EXPORT_FILE} is of version 2, and this program reads version 1: "
        "use the newer pytest-qeval that wrote it."
    )
