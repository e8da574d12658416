"""`torchao:<configuration>`: the weight configurations of torchao, by the names of their classes.

`torchao:Int8WeightOnlyConfig` takes torchao's defaults, `torchao:IntxWeightOnlyConfig(weight_dtype=int4)` does not, and
`torchao:SmoothQuantConfig` and `torchao:AWQConfig` are shown calibration texts first.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.backends.torchao_configs import CALIBRATED, build_steps, check_configuration
from pytest_qeval.quantize.quantization import LayerRecord, Quantization
from pytest_qeval.quantize.quantizer import Quantizer
from pytest_qeval.quantize.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pytest_qeval.quantize.places import Place

__all__ = ["TORCHAO", "bits_of", "parts_of"]

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


def _apply(model: nn.Module, recipe: Recipe, show_texts: Callable[[], None]) -> Quantization:
    """Let torchao quantize every `nn.Linear` that is neither kept nor tied.

    Raises:
        RecipeError: The model has no such layer, torchao cannot do this here, or no text reaches a layer that needs it.
    """
    from pytest_qeval.quantize.places import plan_linears, record_kept, weight_of  # noqa: PLC0415 - imports torch

    start = time.perf_counter()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    places = plan_linears(model, recipe)
    chosen = {place.name: place for place in places if not place.kept}
    before = {name: weight_of(place.find(model)).nbytes for name, place in chosen.items()}
    with _one_sentence(recipe):
        steps = build_steps(recipe.config)
    if steps.prepare is not None:
        _transform(model, chosen.values(), steps.prepare, recipe)
        _observe(model, chosen.values(), recipe, show_texts)
    _transform(model, chosen.values(), steps.convert, recipe)
    return Quantization(
        layers=tuple(
            record_kept(place, model) if place.kept else _record(model, place, before[place.name]) for place in places
        ),
        parameters=parameters,
        duration_s=time.perf_counter() - start,
    )


@contextmanager
def _one_sentence(recipe: Recipe) -> Iterator[None]:
    """Turn what torchao raises when a machine, a size or an argument does not fit into what a user can read."""
    try:
        yield
    except (ArithmeticError, AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecipeError(f"recipe {recipe.name!r}: torchao cannot do this to this model here: {reason}") from error


def _transform(model: nn.Module, places: Collection[Place], step: Any, recipe: Recipe) -> None:
    """Take one step with some layers, at all of their names."""
    import torch  # noqa: PLC0415 - imported lazily by contract
    from torchao.quantization import quantize_  # noqa: PLC0415 - an extra

    names = {place.name for place in places}
    with _one_sentence(recipe), torch.no_grad():
        quantize_(model, step, filter_fn=lambda _, name: name in names)
    for place in places:
        place.put(model, place.find(model))


def _observe(model: nn.Module, places: Collection[Place], recipe: Recipe, show_texts: Callable[[], None]) -> None:
    """Show the texts, and refuse to go on when a layer has not seen them."""
    seen: set[nn.Module] = set()
    layers = {place.name: place.find(model) for place in places}
    hooks = [layer.register_forward_pre_hook(lambda module, _: seen.add(module)) for layer in layers.values()]
    try:
        show_texts()
    finally:
        for hook in hooks:
            hook.remove()
    missed = [name for name, layer in layers.items() if layer not in seen]
    if missed:
        raise RecipeError(
            f"recipe {recipe.name!r}: no calibration text has reached {missed[0]}, which has to see some."
        )


def _record(model: nn.Module, place: Place, bytes_before: int) -> LayerRecord:
    from pytest_qeval.quantize.places import weight_of  # noqa: PLC0415 - imports torch

    weight: Any = weight_of(place.find(model))
    parts = list(parts_of(weight))
    bits = bits_of(weight)
    return LayerRecord(
        name=place.name,
        shape=(weight.shape[0], weight.shape[1]),
        bits=bits,
        kept=False,
        bytes_before=bytes_before,
        bytes_after=sum(part.nbytes for part in parts),
        granularity=_granularity(weight),
        execution="native",
        note=_note(weight, parts[0], bits),
    )


def parts_of(tensor: Any) -> Iterator[torch.Tensor]:
    """Return the tensors that a tensor of torchao's is made of, its values first; of any other, itself."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from parts_of(getattr(tensor, name))


def bits_of(weight: Any) -> int:
    """Return the bits per weight of the type that torchao rounded to, or else of the class, or else what one takes."""
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
    """Say what the reader of a time or a size should know."""
    if 8 * values.nbytes > bits * weight.numel():
        return f"torchao holds each {bits}-bit weight in a byte, and computes in floating point"
    return _EAGER if values.device.type == "cpu" else ""


TORCHAO = Quantizer(
    name="torchao",
    summary="configurations of torchao by class name: torchao:Int8WeightOnlyConfig",
    recipe=_recipe,
    apply=_apply,
)
