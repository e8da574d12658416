"""A cache that cannot be quantized is refused by the model's config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.engines.fit.cache_checks import check_cache
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.lookup import find_recipe

LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32}
RECIPES = [find_recipe("auto"), find_recipe("int8+kv8")]
REFUSED: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "encoder": ({**LAYERS, "is_encoder_decoder": True}, "it has an encoder"),
    "window": ({**LAYERS, "sliding_window": 9}, "sliding-window attention"),
    "image model": ({"text_config": {**LAYERS, "sliding_window": 9}}, "sliding-window attention"),
    "hybrid": (
        {**LAYERS, "layer_types": ["linear_attention", "full_attention"]},
        "layers that keep no keys and values",
    ),
    "recurrent": ({"num_hidden_layers": 2}, "layers that keep no keys and values"),
}


def source(folder: Path, config: Mapping[str, Any]) -> ModelSource:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return ModelSource(kind="directory", name="model", path=folder)


@pytest.mark.parametrize(("config", "reason"), REFUSED.values(), ids=REFUSED)
def test_one_sentence_names_recipe_model_reason_and_remedy(
    config: Mapping[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as refusal:
        check_cache(source(tmp_path, config), RECIPES)
    assert str(refusal.value) == (
        f"int8+kv8: the key/value cache of model cannot be quantized here ({reason}), only one that keeps every token "
        "of a decoder; choose the recipe without +kv8 or +kv4."
    )


@pytest.mark.parametrize("config", [config for config, _ in REFUSED.values()], ids=REFUSED)
def test_other_recipes_are_let_pass(config: Mapping[str, Any], tmp_path: Path) -> None:
    check_cache(source(tmp_path, config), RECIPES[:1])


def test_a_decoder_that_keeps_every_token_is_let_pass(tmp_path: Path) -> None:
    """A window that is switched off is none."""
    check_cache(source(tmp_path, {**LAYERS, "sliding_window": 9, "use_sliding_window": False}), RECIPES)
