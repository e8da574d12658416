"""Options and recipes of `--qeval-engine vllm`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.fixtures import CONTEXT
from pytest_qeval.settings import VllmSettings
from tests.fake_vllm import fake_vllm

Configure = Callable[..., pytest.Config]


def settings_of(configure: Configure, *arguments: str) -> RunSettings:
    with fake_vllm():
        config = configure("--qeval-model=demo", "--qeval-engine=vllm", "--qeval-suite=micro", *arguments)
    return config.stash[CONTEXT].settings


def test_options_become_settings(configure: Configure) -> None:
    """Of vLLM's quantizations, the baseline is the checkpoint by vLLM."""
    settings = settings_of(
        configure,
        *("--qeval-recipe=vllm:fp8_per_tensor", "--qeval-tensor-parallel=1", "--qeval-pipeline-parallel=2"),
        *("--qeval-distributed-executor=mp", "--qeval-memory-share=0.4", "--qeval-batch-size=9"),
    )
    assert settings.model.vllm == VllmSettings(pipeline_parallel=2, executor="mp", memory_share=0.4)
    assert (settings.candidates, settings.baseline) == (("vllm:fp8_per_tensor",), "auto")
    assert (settings.model.engine, settings.all_served) == ("vllm", True)


@pytest.mark.parametrize("recipe", ["bf16", "fp32", "auto"])
def test_floating_point_is_a_recipe_too(configure: Configure, recipe: str) -> None:
    """As with transformers."""
    assert settings_of(configure, f"--qeval-recipe={recipe}", "--qeval-baseline=none").candidates == (recipe,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--qeval-recipe=int8",), "cannot give a model the recipe int8: choose one of vLLM's"),
        (("--qeval-recipe=auto+kv8",), r"cannot give a model the recipe auto\+kv8"),
        (("--qeval-recipe=vllm:fp7",), "vLLM has no quantization 'fp7'"),
        (("--qeval-tensor-parallel=0",), "--qeval-tensor-parallel"),
        (("--qeval-memory-share=1.5",), "above 0 and at most 1"),
        (("--qeval-distributed-executor=dask",), "expects mp or ray, not 'dask'"),
        (("--qeval-threads=2",), "vLLM computes, in its own way"),
        (("--qeval-endpoint=http://localhost:1",), "--qeval-endpoint is for --qeval-engine openai"),
    ],
)
def test_what_vllm_does_not_do_is_refused(configure: Configure, arguments: tuple[str, ...], message: str) -> None:
    """Before anything is loaded."""
    with pytest.raises(pytest.UsageError, match=message):
        settings_of(configure, *arguments)


@pytest.mark.parametrize("option", ["tensor-parallel=2", "pipeline-parallel=2", "distributed-executor=mp"])
def test_options_of_vllm_need_it(configure: Configure, option: str) -> None:
    """And so does its quantization."""
    with pytest.raises(pytest.UsageError, match="does nothing in this run: add --qeval-engine vllm"):
        configure("--qeval-model=demo", "--qeval-suite=micro", f"--qeval-{option}")
    with pytest.raises(pytest.UsageError, match="is quantized by vLLM itself: add --qeval-engine vllm"):
        configure("--qeval-model=demo", "--qeval-suite=micro", "--qeval-recipe=vllm:mxfp8")
