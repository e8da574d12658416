"""Sensitivity: which block of a model suffers most when it alone is quantized."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import torch
from torch import nn

from pytest_qeval.engines.hf.calibration import Reader, observed_ranges
from pytest_qeval.engines.hf.checkpoint import from_pretrained
from pytest_qeval.engines.hf.compat import why_not_continuous
from pytest_qeval.engines.hf.loading import choose_device
from pytest_qeval.engines.hf.scoring import teacher_of
from pytest_qeval.engines.hf.seq2seq import sides_of
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import RecipeError
from pytest_qeval.facts import BlockSensitivity, SensitivityFacts
from pytest_qeval.measure.divergence import Divergence, compare_logits
from pytest_qeval.quantize.apply import NO_RANGES, quantize_
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.layers import plan_layers
from pytest_qeval.quantize.recipe import Recipe

__all__ = ["block_names", "measure_sensitivity"]


def measure_sensitivity(
    source: ModelSource,
    recipe: Recipe,
    solved: Sequence[tuple[str, str]],
    *,
    device: str,
    threads: int | None,
    texts: CalibrationTexts | None = None,
) -> SensitivityFacts:
    """Quantize one block after the other, everything else in full precision, and compare with the untouched model.

    The Kullback-Leibler divergence is teacher-forced: both models are shown a prompt and its solution, and the
    solution's tokens count. Memory peaks at the model, one block and the logits of the texts.

    Args:
        source: The model.
        recipe: One of this package's own schemes.
        solved: Prompts and their solutions.
        device: As `--qeval-device`.
        threads: CPU threads for torch; None leaves its own choice.
        texts: What static activations are calibrated on.

    Raises:
        RecipeError: when the recipe is another package's, or quantizes nothing in any block.
    """
    if recipe.quantizer:
        raise RecipeError(f"{recipe.name}: sensitivity takes this package's own schemes, such as int8 or w4a16-g128.")
    if threads is not None:
        torch.set_num_threads(threads)
    started = time.perf_counter()
    model, tokenizer = from_pretrained(source, recipe.dtype, choose_device(device), None)
    model.eval()
    ranges = NO_RANGES
    if texts and recipe.calibration:
        sides = sides_of(model, tokenizer)
        continuous = not why_not_continuous(model, sides)
        reader = Reader(model, tokenizer, texts, recipe.calibration, eos_ids=(), continuous=continuous, sides=sides)
        ranges = observed_ranges(model, recipe, reader)
    teacher = teacher_of(model, tokenizer)
    scored = [teacher.text(prompt, solution) for prompt, solution in solved]
    baseline = [teacher.logits(text) for text in scored]
    blocks = []
    for name, count in block_names(model, recipe).items():
        parent, _, leaf = name.rpartition(".")
        holder, original = model.get_submodule(parent), model.get_submodule(name)
        setattr(holder, leaf, copy.deepcopy(original))
        done = quantize_(model, recipe, ranges=ranges, within=name)
        assert done.quantized_layers == count  # noqa: S101 - a block that stayed as it is would rank as harmless
        pairs = zip(baseline, map(teacher.logits, scored), strict=True)
        divergence = Divergence(sequences=tuple(compare_logits(*pair) for pair in pairs))
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
