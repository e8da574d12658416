"""The engine as the rest of the program sees it: a directory and a recipe in, completions and facts out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

import pytest_qeval.engines.hf.engine as engine_module
import pytest_qeval.engines.hf.loading as loading_module
from pytest_qeval.engines.base import BlockwiseSource, FinishedCompletion, ModelEngine, Request
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.loading import choose_device, free_bytes
from pytest_qeval.engines.sources import resolve
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import EngineError, ModelSourceError, NoRoomError
from pytest_qeval.facts import RecipeFacts
from pytest_qeval.measure.timing_facts import WORKLOADS, Workload
from pytest_qeval.quantize.builtin import AUTO, BF16, FP32, INT8
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

REQUESTS = [Request(key=f"r{at}", prompt=text) for at, text in enumerate(("def add", "日本語", "x = "))]


@pytest.fixture
def save(make_model: Callable[[str], Any], tokenizer: Any, tmp_path: Path) -> Callable[[str], Path]:
    """Save a tiny model of a family, as a hub download would lie on disk."""

    def write(family: str) -> Path:
        make_model(family).save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return tmp_path / family

    return write


def open_engine(path: Path, recipe: Recipe = AUTO, **fields_: Any) -> TransformersEngine:
    settings = ModelSettings(name=str(path), **{"device": "cpu", **fields_})
    generation = GenerationSettings(max_new_tokens=6)
    return TransformersEngine(source=resolve(settings), recipe=recipe, model=settings, generation=generation)


def finish(engine: ModelEngine) -> dict[str, str]:
    """Submit the requests and step until all are finished."""
    engine.submit(REQUESTS)
    texts = {}
    while engine.progress.finished < engine.progress.total:
        texts.update({one.key: one.completion.text for one in engine.step() if isinstance(one, FinishedCompletion)})
    return texts


def test_a_model_completes_prompts_and_describes_itself(
    save: Callable[[str], Path], make_model: Callable[[str], Any]
) -> None:
    engine = open_engine(save("llama"), batch_size=2)
    assert sorted(finish(engine)) == ["r0", "r1", "r2"]
    parameters = sum(parameter.numel() for parameter in make_model("llama").parameters())
    facts = engine.facts()
    assert facts["load_s"] > 0
    assert facts["model_bytes"] >= 4 * parameters
    known = {"load_s": 0, "quantize_s": 0, "model_bytes": 0, "bits_per_weight": pytest.approx(32, rel=0.01)}
    assert {**facts, **known} == {
        **known,
        "scheme": "full precision",
        "weights": None,
        "activations": None,
        "kept": [],
        "cache": None,
        "layers": [],
        "notes": [],
        "calibration": None,
        "disk_bytes": None,
        "quantize_peak_bytes": None,
        "execution": "full precision",
        "quantized_layers": 0,
        "quantized_share": 0.0,
        "dtype": "float32",
        "device": "cpu",
        "architecture": "decoder-only",
        "decoding": "continuous batch",
        "parameters": parameters,
        "batch_size": 2,
        "batch_dependence": "",
    }


def test_the_facts_are_fields_of_the_report(save: Callable[[str], Path]) -> None:
    """Plain values under the report's own names."""
    facts = open_engine(save("llama")).facts()
    assert facts.keys() <= {field.name for field in fields(RecipeFacts)}
    assert json.loads(json.dumps(facts)) == facts


def test_a_recipe_is_applied(save: Callable[[str], Path]) -> None:
    """Int8 computes in int8 kernels and is smaller, and still completes prompts."""
    path = save("llama")
    engine = open_engine(path, INT8)
    facts = engine.facts()
    assert (facts["execution"], facts["quantized_layers"]) == ("native", 14)
    assert 0 < facts["quantized_share"] < 1
    assert facts["model_bytes"] < open_engine(path).facts()["model_bytes"]
    assert sorted(finish(engine)) == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("stated", "recipe", "expected"),
    [
        ("bfloat16", AUTO, "bfloat16"),
        (None, AUTO, "float32"),
        ("bfloat16", FP32, "float32"),
        ("float32", BF16, "bfloat16"),
    ],
    ids=["as stated", "nothing stated", "fp32", "bf16"],
)
def test_the_recipe_decides_the_dtype(
    save: Callable[[str], Path], stated: str | None, recipe: Recipe, expected: str
) -> None:
    path = save("llama")
    config = json.loads((path / "config.json").read_text())
    for name in ("dtype", "torch_dtype"):
        config.pop(name, None)
    (path / "config.json").write_text(json.dumps({**config, **({"dtype": stated} if stated else {})}))
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(path / "model.safetensors").items()}
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert open_engine(path, recipe).facts()["dtype"] == expected


def test_another_kind_of_cache_falls_back_to_generate(save: Callable[[str], Path]) -> None:
    """The facts give the reason."""
    engine = open_engine(save("mistral"))
    assert engine.facts()["decoding"] == "generate: sliding-window attention"
    assert sorted(finish(engine)) == ["r0", "r1", "r2"]


def test_sampling_settings_that_ship_with_a_model_are_ignored(save: Callable[[str], Path]) -> None:
    """A repetition penalty in generation_config.json would change what is measured."""
    path = save("mistral")
    plain = finish(open_engine(path))
    config = json.loads((path / "generation_config.json").read_text())
    changes = {"repetition_penalty": 5.0, "do_sample": True, "temperature": 3.0}
    (path / "generation_config.json").write_text(json.dumps({**config, **changes}))
    assert finish(open_engine(path)) == plain


def test_closing_frees_the_model_and_may_be_repeated(save: Callable[[str], Path]) -> None:
    """Progress stays readable; whatever needs the model is refused."""
    engine = open_engine(save("llama"))
    finish(engine)
    before = engine.progress
    engine.close()
    engine.close()
    assert engine.progress == before
    for use in (engine.step, lambda: engine.prepare(WORKLOADS["decode-1"]), lambda: engine.submit(REQUESTS)):
        with pytest.raises(EngineError, match="the engine is closed"):
            use()


@pytest.mark.parametrize(
    ("workload", "values"),
    [
        (Workload(kind="prefill", prompt_tokens=8), 1),
        (Workload(kind="decode", prompt_tokens=8, new_tokens=4), 4),
        (Workload(kind="decode", prompt_tokens=8, new_tokens=4, batch=3), 4),
    ],
    ids=["prefill", "one sequence", "a batch"],
)
def test_a_workload_is_repeated_without_touching_the_queue(
    save: Callable[[str], Path], workload: Workload, values: int
) -> None:
    engine = open_engine(save("llama"))
    engine.submit(REQUESTS)
    run = engine.prepare(workload)
    for _ in range(2):
        times = run()
        assert len(times) == values
        assert min(times) > 0
    assert engine.progress.prompt_tokens == 0
    with pytest.raises(NoRoomError, match="do not fit in the model's context of 128"):
        engine.prepare(replace(workload, prompt_tokens=130))


def test_a_model_that_transformers_cannot_load_is_refused(save: Callable[[str], Path]) -> None:
    """With transformers' own reason."""
    path = save("llama")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, "model_type": "unheard-of"}))
    with pytest.raises(ModelSourceError, match=r"transformers [\d.]+ cannot load .*unheard-of"):
        open_engine(path)


@pytest.mark.parametrize("device", ["cpu", "auto", "cuda"])
def test_memory_is_checked_before_loading(
    save: Callable[[str], Path], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the device which the model is loaded on, here of a machine that has a GPU."""
    free = {"cpu": 10 * 2**30, "cuda": 10 * 2**30, "cpu" if device == "cpu" else "cuda": 1}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free["cuda"], 0))
    monkeypatch.setattr(loading_module, "available_memory_bytes", lambda: free["cpu"])
    monkeypatch.setattr(engine_module, "load", None)
    where = "" if device == "cpu" else " on cuda:0"
    with pytest.raises(ModelSourceError, match=rf"needs about 0\.0 GiB .* are free{where}\. Close"):
        open_engine(save("llama"), BF16, device=device)


def test_sensitivity_checks_memory_too(save: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading_module, "available_memory_bytes", lambda: 1)
    source = resolve(ModelSettings(name=str(save("llama"))))
    assert isinstance(TRANSFORMERS, BlockwiseSource)
    with pytest.raises(ModelSourceError, match="needs about"):
        TRANSFORMERS.sensitivity(source, INT8, [], model=ModelSettings(name="x", device="cpu"), texts=None)


def test_a_worker_has_its_share_of_the_memory(save: Callable[[str], Path]) -> None:
    """Not all that is free: others load the same model at the same time. The batch has to fit there as well."""
    path = save("llama")
    with pytest.raises(ModelSourceError, match="run fewer workers"):
        open_engine(path, memory_bytes=100)
    assert open_engine(path, memory_bytes=2**40).facts()["device"] == "cpu"
    assert free_bytes(torch.device("cpu"), 10) == 10
    assert free_bytes(torch.device("cpu"), -10) == 0


@pytest.mark.parametrize("bars", [True, False], ids=["bars on", "bars off"])
def test_loading_is_silent_and_leaves_logging_as_it_was(
    *, bars: bool, save: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = save("llama")
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    (transformers_logging.enable_progress_bar if bars else transformers_logging.disable_progress_bar)()
    transformers_logging.set_verbosity_info()
    capfd.readouterr()
    try:
        open_engine(path)
        assert capfd.readouterr() == ("", "")
        after = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
        assert after == (transformers_logging.INFO, bars)
    finally:
        transformers_logging.set_verbosity(before[0])
        (transformers_logging.enable_progress_bar if before[1] else transformers_logging.disable_progress_bar)()


def test_devices_are_named_as_in_torch() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ModelSourceError, match="--qeval-device tpu-9: torch does not know this device"):
        choose_device("tpu-9")


def test_each_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user names none; with more processes than GPUs they begin again."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("auto", "cuda"):
        assert [str(choose_device(name, place=place)) for place in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert str(choose_device("cuda:1", place=0)) == "cuda:1"
    assert str(choose_device("cpu", place=1)) == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelSourceError, match="finds no CUDA device"):
        choose_device("cuda")


def test_threads_are_set(save: Callable[[str], Path]) -> None:
    before = torch.get_num_threads()
    try:
        open_engine(save("llama"), threads=before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
