"""A recipe names torchao's configurations; what it cannot mean is refused in a sentence, before torch is imported."""

from __future__ import annotations

import pytest

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.backends.torchao import TORCHAO
from pytest_qeval.quantize.recipe import CalibrationPlan

pytest.importorskip("torchao", reason="the torchao extra is not installed")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param(
            "Int8WeightOnly",
            "torchao has no configuration 'Int8WeightOnly' that a recipe can name. Did you mean 'Int8WeightOnlyConfig'",
            id="configuration",
        ),
        pytest.param(
            "Int8StaticActivationInt8WeightConfig",
            "torchao has no configuration 'Int8StaticActivationInt8WeightConfig' that a recipe can name.",
            id="static",
        ),
        pytest.param(
            "Int8WeightOnlyConfig(group=3)",
            "torchao's Int8WeightOnlyConfig has no argument 'group' that a recipe can name. Did you mean 'group_size'?",
            id="argument",
        ),
        pytest.param(
            "Int8WeightOnlyConfig(granularity=open('x'))", "granularity=open('x') cannot be read; a number", id="call"
        ),
        pytest.param(
            "SmoothQuantConfig(step='convert')",
            "torchao's SmoothQuantConfig has no argument 'step' that a recipe can name. Available: alpha.",
            id="step",
        ),
        pytest.param(
            "SmoothQuantConfig(alpha=2)",
            "alpha=2: SmoothQuant moves a share, a number from 0 to 1.",
            id="more than all",
        ),
        pytest.param("SmoothQuantConfig(alpha=True)", "alpha=True: SmoothQuant moves a share", id="truth"),
        pytest.param("SmoothQuantConfig(alpha=PerRow())", "alpha=PerRow(): SmoothQuant moves a share", id="no number"),
        pytest.param("IntxWeightOnlyConfig(weight_dtype=int9)", "weight_dtype=int9 cannot be read", id="type"),
        pytest.param("Int8WeightOnlyConfig(32)", "is no configuration of torchao; one is written as", id="positional"),
        pytest.param("Int8WeightOnlyConfig(**{})", "is no configuration of torchao; one is written as", id="unpacking"),
        pytest.param("Int8WeightOnlyConfig(", "'Int8WeightOnlyConfig(' is no configuration of torchao", id="syntax"),
    ],
)
def test_what_cannot_be_read_is_refused(config: str, message: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        TORCHAO.recipe(config)
    assert message in str(refusal.value)


def test_gptq_is_not_offered() -> None:
    with pytest.raises(RecipeError, match=r"^torchao's GPTQConfig computes on CUDA only, and is not offered\."):
        TORCHAO.recipe("GPTQConfig")


@pytest.mark.parametrize(("config", "samples"), [("SmoothQuantConfig(alpha=0.7)", 128), ("AWQConfig", 32)])
def test_configurations_that_observe_come_with_texts(config: str, samples: int) -> None:
    recipe = TORCHAO.recipe(config)
    assert (recipe.name, recipe.scheme) == (f"torchao:{config}", config)
    assert recipe.calibration == CalibrationPlan(samples=samples)


def test_the_summary_of_awq_says_what_it_computes_with() -> None:
    assert TORCHAO.recipe("AWQConfig").summary == (
        "torchao's AWQConfig; scales channels before Int8WeightOnlyConfig, the one base that a CPU computes "
        "(torchao 0.18); all inputs of all layers are in memory at once"
    )


def test_available_configurations_are_listed() -> None:
    with pytest.raises(RecipeError, match=r"Available: .*AWQConfig, .*Int4WeightOnlyConfig, .*SmoothQuantConfig\.$"):
        TORCHAO.recipe("NoSuch")
