"""Sensitivity: how much a model changes when one of its blocks alone is quantized."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from pytest_qeval.engines.hf.calibration import CalibrationRun, observe_ranges
from pytest_qeval.engines.hf.direct_reads import find_direct_reads
from pytest_qeval.engines.hf.loading import load_language_model
from pytest_qeval.engines.hf.scoring import teacher_forcing
from pytest_qeval.engines.hf.trial import find_fallback_reason
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import RecipeError
from pytest_qeval.facts import BlockSensitivity, SensitivityFacts
from pytest_qeval.measure.divergence import Divergence, compare_logits
from pytest_qeval.quantize.apply import NO_RANGES, quantize_
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.experts import unpack_experts_
from pytest_qeval.quantize.layers import plan_layers
from pytest_qeval.quantize.recipe import Recipe


def measure_sensitivity(
    source: ModelSource,
    recipe: Recipe,
    solutions: Sequence[tuple[str, str]],
    *,
    device: str,
    threads: int | None,
    texts: CalibrationTexts | None = None,
) -> SensitivityFacts:
    """Quantize one block after the other, everything else in full precision, and compare with the original model.

    The Kullback-Leibler divergence is teacher-forced: both models read a prompt and its solution, and the solution's
    tokens count. Memory peaks at the model, one block and the logits of the texts. See `loading.load` for `device` and
    `threads`; `texts` calibrate static activations.

    Raises:
        RecipeError: when the recipe is another package's, or quantizes nothing in any block.
    """
    if recipe.quantizer:
        raise RecipeError(f"{recipe.name}: sensitivity takes this package's own schemes, such as int8 or w4a16-g128.")
    started = time.perf_counter()
    language_model = load_language_model(source, recipe.dtype, device=device, threads=threads)
    model, ranges = language_model.model, NO_RANGES
    unpack_experts_(model)
    direct_reads = find_direct_reads(model, recipe, language_model.encoder_decoder)
    recipe = replace(recipe, kept=(*recipe.kept, *direct_reads))
    if texts and recipe.calibration:
        reason = find_fallback_reason(model, language_model.encoder_decoder)
        # without end-of-sequence tokens, so that every continuation has the plan's length
        language_model = replace(language_model, fallback_reason=reason, eos_ids=())
        run = CalibrationRun(language_model, texts, recipe.calibration)
        ranges = observe_ranges(model, recipe, run)
    forcing = teacher_forcing(model, language_model.tokenizer)
    scored = [forcing.tokenize(prompt, solution) for prompt, solution in solutions]
    baseline = [forcing.logits(text) for text in scored]
    blocks = []
    for name, count in block_names(model, recipe).items():
        parent, _, leaf = name.rpartition(".")
        holder, original = model.get_submodule(parent), model.get_submodule(name)
        setattr(holder, leaf, copy.deepcopy(original))
        done = quantize_(model, recipe, ranges=ranges, within=name)
        assert done.quantized_layers == count  # noqa: S101 - a block that stayed as it is would rank as harmless
        pairs = zip(baseline, map(forcing.logits, scored), strict=True)
        divergence = Divergence.total(compare_logits(*pair) for pair in pairs)
        setattr(holder, leaf, original)
        blocks.append(BlockSensitivity(name=name, layers=count, kl=divergence.mean_kl, same_top1=divergence.same_top1))
    return SensitivityFacts(
        recipe=recipe.name,
        texts=len(scored),
        tokens=sum(len(text.positions) for text in scored),
        duration_s=time.perf_counter() - started,
        blocks=tuple(sorted(blocks, key=lambda block: -block.kl)),
    )


def block_names(model: nn.Module, recipe: Recipe) -> dict[str, int]:
    """Name the blocks that the recipe touches, each with how many of its layers are quantized.

    A block is an element of an outermost `nn.ModuleList` (a decoder layer, an encoder layer); a quantized layer outside
    of all lists, such as the output layer, is a block of its own.
    """
    lists = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    outermost = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    blocks: dict[str, int] = {}
    for place in plan_layers(model, recipe):
        if place.kept:
            continue
        inside = next((name for name in outermost if place.name.startswith(f"{name}.")), None)
        index = place.name[len(inside) + 1 :].partition(".")[0] if inside is not None else ""
        name = f"{inside}.{index}" if inside is not None else place.name
        blocks[name] = blocks.get(name, 0) + 1
    return blocks
