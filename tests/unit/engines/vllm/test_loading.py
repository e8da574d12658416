"""What vLLM is told, and what is refused before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.vllm import devices
from pytest_qeval.engines.vllm.devices import check_devices
from pytest_qeval.engines.vllm.loading import arguments
from pytest_qeval.engines.vllm.source import VLLM
from pytest_qeval.errors import EngineError, ModelSourceError, RecipeError, UsageError
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings, VllmSettings
from tests.fake_vllm import fake_vllm
from tests.tiny_gguf import write_gguf


def told(recipe: str = "auto", *, stored: str = "", batch_size: int | None = None, **settings: Any) -> dict[str, Any]:
    source = ModelSource(kind="directory", name="m", path=Path("/m"), stored=stored, dtype="float32")
    model = ModelSettings(name="m", batch_size=batch_size, vllm=VllmSettings(**settings))
    return arguments(source, find_recipe(recipe), model=model, generation=GenerationSettings(max_new_tokens=100))


def test_a_checkpoint_is_loaded_as_it_is() -> None:
    """In its own type: `auto` would round float32; one that is quantized tells vLLM how, and in which type."""
    plain = told()
    assert (plain["model"], plain["dtype"], plain["enable_prefix_caching"]) == ("/m", "float32", True)
    assert "quantization" not in plain
    assert "gpu_memory_utilization" not in plain
    assert told("as-is", stored="awq")["dtype"] == "auto"
    assert told("bf16")["dtype"] == "bfloat16"


def test_options_are_passed_on() -> None:
    """By vLLM's names."""
    found = told(
        "vllm:fp8_per_tensor",
        batch_size=7,
        tensor_parallel=2,
        pipeline_parallel=3,
        executor="ray",
        memory_share=0.5,
    )
    assert (found["quantization"], found["dtype"], found["max_num_seqs"]) == ("fp8_per_tensor", "auto", 7)
    assert (found["tensor_parallel_size"], found["pipeline_parallel_size"]) == (2, 3)
    assert (found["distributed_executor_backend"], found["gpu_memory_utilization"]) == ("ray", 0.5)


def test_the_cache_is_planned_for_what_is_asked() -> None:
    """Of the embedded model's 512 tokens none is left out."""
    model = ModelSettings(name="demo", engine="vllm")
    with fake_vllm():
        source = VLLM.find(model)
    found = arguments(source, find_recipe("auto"), model=model, generation=GenerationSettings(max_new_tokens=100))
    assert found["max_model_len"] == 512


def test_facts_say_what_vllm_did() -> None:
    """Its version, its quantization, and that batches are its own affair."""
    model = ModelSettings(name="demo", engine="vllm")
    with fake_vllm() as made:
        for recipe in ("auto", "vllm:mxfp8"):
            engine = VLLM.open(
                VLLM.find(model),
                find_recipe(recipe),
                model=model,
                generation=GenerationSettings(),
                texts=None,
                export=None,
            )
            facts = engine.facts()
            engine.close()
            expected = ("full precision", "full precision") if recipe == "auto" else ("mxfp8", "native")
            assert (facts["scheme"], facts["execution"]) == expected
            assert (facts["engine"], facts["dtype"]) == ("vllm (0.32.0)", "float32")
            assert facts["batch_dependence"]
    assert made[0][0]["dtype"] == "float32"


def test_what_vllm_refuses_is_said_in_one_line() -> None:
    """Without pydantic's words around it."""
    error = ValueError(
        "1 validation error for ModelConfig\n  Value error, no such thing. [type=value_error, x=1]\n  For"
    )
    model = ModelSettings(name="demo", engine="vllm")
    with fake_vllm(refuses=error), pytest.raises(EngineError, match=r"cannot load demo as auto: no such thing$"):
        VLLM.open(
            VLLM.find(model),
            find_recipe("auto"),
            model=model,
            generation=GenerationSettings(),
            texts=None,
            export=None,
        )


def test_a_split_model_is_another_condition() -> None:
    """Sums are in another order."""
    plain = ModelSettings(name="demo", device="cpu", vllm=VllmSettings())
    split = ModelSettings(name="demo", device="cpu", vllm=VllmSettings(tensor_parallel=2))
    assert VLLM.conditions(plain).keys() == {"device"}
    assert VLLM.conditions(split)["tensor_parallel"] == 2


def test_missing_packages_and_other_models_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is loaded."""
    monkeypatch.setattr("pytest_qeval.engines.vllm.source.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="needs vLLM, which brings a torch of its own"):
        VLLM.find(ModelSettings(name="demo", engine="vllm"))
    monkeypatch.undo()
    file = write_gguf(tmp_path / "tiny.gguf")
    with fake_vllm(), pytest.raises(ModelSourceError, match="--qeval-engine llamacpp"):
        VLLM.find(ModelSettings(name=str(file), engine="vllm"))


def test_more_parts_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Ray they may be on other machines, and without a GPU their number is not known."""
    import torch  # noqa: PLC0415 - only here

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(devices, "may_have_gpu", lambda: True)
    check_devices(VllmSettings(tensor_parallel=4))
    with pytest.raises(UsageError, match="needs 8 GPUs, and this machine has 4"):
        check_devices(VllmSettings(tensor_parallel=4, pipeline_parallel=2))
    monkeypatch.setattr(devices, "may_have_gpu", lambda: False)
    check_devices(VllmSettings(tensor_parallel=8))
    monkeypatch.setattr(devices, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="needs Ray"):
        check_devices(VllmSettings(executor="ray"))
    monkeypatch.setattr(devices, "find_spec", lambda name: name)
    check_devices(VllmSettings(tensor_parallel=8, executor="ray"))


def test_only_quantizations_that_vllm_applies_itself_are_recipes() -> None:
    """The others belong to checkpoints."""
    assert find_recipe("vllm:fp8_per_block").scheme == "fp8_per_block"
    with pytest.raises(RecipeError, match="Did you mean 'fp8_per_tensor'"):
        find_recipe("vllm:fp8_per_tenso")
    with pytest.raises(RecipeError, match="quantized already needs no recipe"):
        find_recipe("vllm:awq")
