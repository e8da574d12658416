"""`torchao:<configuration>`: torchao's weight configurations, by class name.

`torchao:Int8WeightOnlyConfig` takes torchao's defaults, `torchao:IntxWeightOnlyConfig(weight_dtype=int4)` sets an
argument, and `torchao:SmoothQuantConfig` and `torchao:AWQConfig` are calibrated on texts first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.backends.torchao_configs import CALIBRATED, build_steps, check_configuration
from pytest_qeval.quantize.footprint import parts_of
from pytest_qeval.quantize.quantization import LayerRecord, Quantizer
from pytest_qeval.quantize.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pytest_qeval.quantize.layers import LayerPlan

_EAGER = "computed by torchao in eager mode, which may be slower than the floating point it replaces on a CPU"


def _recipe(config: str) -> Recipe:
    spec = find_spec("torchao")
    if spec is None or spec.origin is None:
        raise MissingPackageError("torchao", extra="torchao", purpose=f"recipe 'torchao:{config}'")
    name = check_configuration(config, Path(spec.origin).parent)
    calibrated = CALIBRATED.get(name)
    what = calibrated.summary if calibrated else "weights are held as torchao holds them"
    return Recipe(
        name=f"torchao:{config}",
        summary=f"torchao's {name}; {what}",
        calibration=calibrated.plan if calibrated else None,
        quantizer="torchao",
        config=config,
    )


def _apply(model: nn.Module, recipe: Recipe, show_texts: Callable[[], None]) -> list[LayerRecord]:
    """Quantize every `nn.Linear` that is neither kept nor tied.

    Raises:
        RecipeError: There is no such layer, torchao refuses, or no text reaches a layer that needs calibration.
    """
    from torch import nn  # noqa: PLC0415 - imported lazily by contract

    from pytest_qeval.quantize.layers import plan_layers, record_kept, weight_of  # noqa: PLC0415 - imports torch

    plans = plan_layers(model, recipe, types={nn.Linear})
    chosen = {plan.name: plan for plan in plans if not plan.kept}
    before = {name: weight_of(plan.module(model)).nbytes for name, plan in chosen.items()}
    with _torchao_errors(recipe):
        steps = build_steps(recipe.config)
    if steps.prepare is not None:
        _transform(model, chosen.values(), steps.prepare, recipe)
        _observe(model, chosen.values(), recipe, show_texts)
    _transform(model, chosen.values(), steps.convert, recipe)
    return [record_kept(plan, model) if plan.kept else _record(model, plan, before[plan.name]) for plan in plans]


@contextmanager
def _torchao_errors(recipe: Recipe) -> Iterator[None]:
    """Turn torchao's exceptions for an unsupported machine, size or argument into a `RecipeError`."""
    try:
        yield
    except (ArithmeticError, AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecipeError(f"recipe {recipe.name!r}: torchao cannot do this to this model here: {reason}") from error


def _transform(model: nn.Module, plans: Collection[LayerPlan], config: Any, recipe: Recipe) -> None:
    """Apply a configuration to some layers, under all of their names."""
    import torch  # noqa: PLC0415 - as above
    from torchao.quantization import quantize_  # noqa: PLC0415 - an extra

    names = {plan.name for plan in plans}
    with _torchao_errors(recipe), torch.no_grad():
        quantize_(model, config, filter_fn=lambda _, name: name in names)
    for plan in plans:
        plan.replace(model, plan.module(model))


def _observe(model: nn.Module, plans: Collection[LayerPlan], recipe: Recipe, show_texts: Callable[[], None]) -> None:
    """Run the calibration texts, and refuse to go on if they do not reach a layer."""
    reached: set[nn.Module] = set()
    layers = {plan.name: plan.module(model) for plan in plans}
    hooks = [layer.register_forward_pre_hook(lambda module, _: reached.add(module)) for layer in layers.values()]
    try:
        show_texts()
    finally:
        for hook in hooks:
            hook.remove()
    missed = next((name for name, layer in layers.items() if layer not in reached), None)
    if missed is not None:
        raise RecipeError(f"recipe {recipe.name!r}: no calibration text has reached {missed}, which has to see some.")


def _record(model: nn.Module, plan: LayerPlan, bytes_before: int) -> LayerRecord:
    weight: Any = plan.module(model).weight.detach()
    parts, bits = list(parts_of(weight)), bits_of(weight)
    return LayerRecord(
        name=plan.name,
        shape=(weight.shape[0], weight.shape[1]),
        bits=bits,
        bytes_before=bytes_before,
        bytes_after=sum(part.nbytes for part in parts),
        granularity=_granularity(weight),
        execution="native",
        note=_note(weight, parts[0], bits),
    )


def bits_of(weight: Any) -> int:
    """Return the bits per weight according to torchao's target type, else the class name, else the bytes held."""
    stated = (str(getattr(weight, "target_dtype", "")), type(weight).__name__)
    found = next(filter(None, (re.search(r"[Ii]nt(\d)", text) for text in stated)), None)
    return int(found[1]) if found else 8 * next(parts_of(weight)).nbytes // weight.numel()


def _granularity(weight: Any) -> str:
    rows, columns = weight.shape
    high, wide = weight.block_size
    if wide < columns:
        return f"per_group({wide})" if high == 1 else f"per_block({high}, {wide})"
    return "per_channel" if high == 1 and rows > 1 else "per_tensor"


def _note(weight: Any, values: torch.Tensor, bits: int) -> str:
    """Return what limits the speed or the size of a layer."""
    if 8 * values.nbytes > bits * weight.numel():
        return f"torchao holds each {bits}-bit weight in a byte, and computes in floating point"
    return _EAGER if values.device.type == "cpu" else ""


TORCHAO = Quantizer(
    name="torchao",
    summary="configurations of torchao by class name: torchao:Int8WeightOnlyConfig",
    recipe=_recipe,
    apply=_apply,
)
