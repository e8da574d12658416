"""Recipes of llama.cpp: the file as it is, and quantized caches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.fixtures import CONTEXT
from tests.tiny_gguf import write_gguf

Configure = Callable[..., pytest.Config]


def settings_of(configure: Configure, folder: Path, *arguments: str) -> RunSettings:
    """Return the settings of a run with any program for llama-server, which is not started."""
    file = write_gguf(folder / "tiny.gguf")
    config = configure(
        *(f"--qeval-model={file}", "--qeval-engine", "llamacpp", f"--qeval-llama-server={sys.executable}"),
        *("--qeval-suite", "micro", "--qeval-prompt", "completion", *arguments),
    )
    return config.stash[CONTEXT].settings


@pytest.mark.parametrize(
    ("recipes", "candidates", "baseline"),
    [
        (("+kv8",), ("as-is+kv8",), "as-is"),
        (("+kv{8,4}",), ("as-is+kv8", "as-is+kv4"), "as-is"),
        (("auto", "auto+kv4"), ("as-is+kv4",), "as-is"),
        (("as-is+kv4",), ("as-is+kv4",), "as-is"),
        ((), ("as-is",), None),
    ],
)
def test_a_quantized_cache_is_compared_with_the_same_file_and_a_plain_cache(
    configure: Configure, tmp_path: Path, recipes: tuple[str, ...], candidates: tuple[str, ...], baseline: str | None
) -> None:
    """Each is a server of its own."""
    settings = settings_of(configure, tmp_path, *(part for recipe in recipes for part in ("--qeval-recipe", recipe)))

    assert (settings.candidates, settings.baseline) == (candidates, baseline)
    assert [settings.recipe(name).cache is not None for name in candidates] == ["+kv" in name for name in candidates]
    assert settings.all_served


@pytest.mark.parametrize("recipe", ["int8", "bf16", "int8+kv8"])
def test_weights_are_not_quantized_again(configure: Configure, tmp_path: Path, recipe: str) -> None:
    """llama.cpp computes with those of the file."""
    with pytest.raises(pytest.UsageError, match=r"runs a model as it is.*or quantize the key/value cache only"):
        settings_of(configure, tmp_path, "--qeval-recipe", recipe)
