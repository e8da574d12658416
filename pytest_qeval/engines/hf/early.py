"""Decide before loading whether weights can be rounded while they are read, and which layers are."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from pytest_qeval.engines.hf.checkpoint import load_skeleton
from pytest_qeval.engines.hf.direct_reads import find_direct_reads
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.early import EarlyRounding
from pytest_qeval.quantize.recipe import Recipe


class Early(NamedTuple):
    """How weights are rounded while they are being loaded."""

    rounding: EarlyRounding
    recipe: Recipe
    """The user's, with direct reads kept."""
    direct_reads: tuple[str, ...]
    """See `find_direct_reads`."""


def plan_early(source: ModelSource, recipe: Recipe) -> Early | None:
    """Plan to round while loading; None where the whole model is needed first, or its layers cannot be foreseen.

    Calibration needs it, and so do the quantizers of other packages and checkpoints that transformers unpacks.

    Raises:
        ModelSourceError: when transformers cannot load the tokenizer.
        RecipeError: when the recipe finds nothing to quantize.
    """
    if not recipe.is_own_scheme or recipe.needs_calibration or (source.stored and source.kind != "gguf"):
        return None
    built = load_skeleton(source)
    if built is None:
        return None
    skeleton, encoder_decoder = built
    direct_reads = find_direct_reads(skeleton, recipe, encoder_decoder)
    recipe = replace(recipe, kept=(*recipe.kept, *direct_reads))
    return Early(EarlyRounding(skeleton, recipe), recipe, direct_reads)
