"""`torchao:<configuration>`: the weight configurations of torchao, by the names of their classes.

`torchao:Int8WeightOnlyConfig` takes torchao's defaults; arguments are written as in Python, but only literals, types by
their names and granularities are understood, and nothing is evaluated:
`torchao:IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(32))`.
"""

from __future__ import annotations

import ast
import difflib
import re
import time
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.quantization import LayerRecord, Quantization
from pytest_qeval.quantize.quantizer import Quantizer
from pytest_qeval.quantize.recipe import Recipe, WeightScheme

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pytest_qeval.quantize.places import Place

__all__ = ["TORCHAO"]

_GRANULARITIES = ("PerAxis", "PerGroup", "PerRow", "PerTensor", "PerToken")
_DTYPE = re.compile(r"u?int[1-8]|float8_(e4m3fn|e5m2)|b?float16|float32")
_EXAMPLE = "'IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(32))'"
_EAGER = "computed by torchao in eager mode, which may be slower than the floating point it replaces on a CPU"


class _Call(NamedTuple):
    """A class and its arguments, as they are written."""

    name: str
    arguments: dict[str, ast.expr]


def _recipe(config: str) -> Recipe:
    spec = find_spec("torchao")
    if spec is None or spec.origin is None:
        raise MissingPackageError("torchao", extra="torchao", purpose=f"recipe 'torchao:{config}'")
    call = _parse(config)
    known = _configurations(Path(spec.origin).parent)
    if call.name not in known:
        raise RecipeError(_unknown("torchao has no configuration", call.name, list(known)))
    for argument, value in call.arguments.items():
        if argument not in known[call.name]:
            raise RecipeError(_unknown(f"torchao's {call.name} has no argument", argument, known[call.name]))
        _check_value(argument, value)
    summary = f"torchao's {call.name}; weights are held as torchao holds them"
    return Recipe(name=f"torchao:{config}", summary=summary, quantizer="torchao", config=config)


def _parse(config: str) -> _Call:
    """Read a class name, or a call of one with keywords only."""
    try:
        node = ast.parse(config.strip(), mode="eval").body
    except SyntaxError as error:
        raise RecipeError(_unreadable(config)) from error
    if isinstance(node, ast.Name):
        return _Call(node.id, {})
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        arguments = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if len(arguments) == len(node.keywords):
            return _Call(node.func.id, arguments)
    raise RecipeError(_unreadable(config))


def _unreadable(config: str) -> str:
    return f"{config!r} is no configuration of torchao; one is written as 'Int8WeightOnlyConfig' or as {_EXAMPLE}."


def _configurations(package: Path) -> dict[str, list[str]]:
    """Read from the source of torchao which configurations there are, and their arguments; importing it imports torch.

    Those with static activations are left out, because their scales are tensors that a recipe cannot name.
    """
    source = (package / "quantization" / "quant_api.py").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how torchao writes its strings
        tree = ast.parse(source)
    handlers = (
        decorator for node in tree.body if isinstance(node, ast.FunctionDef) for decorator in node.decorator_list
    )
    registered = {
        argument.id
        for call in handlers
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "register_quantize_module_handler"
        for argument in call.args
        if isinstance(argument, ast.Name) and "Static" not in argument.id
    }
    return {
        node.name: [
            field.target.id
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        ]
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in registered
    }


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    guess = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{what} {name!r} that a recipe can name.{guess} Available: {', '.join(sorted(known)) or 'none'}."


def _check_value(argument: str, value: ast.expr) -> None:
    """Refuse whatever is neither a literal nor a type nor a granularity."""
    understood = _is_literal(value) or (isinstance(value, ast.Name) and _DTYPE.fullmatch(value.id))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _GRANULARITIES:
        understood = not value.keywords and all(map(_is_literal, value.args))
    if not understood:
        raise RecipeError(
            f"{argument}={ast.unparse(value)} cannot be read; a number, a quoted word, a type such as int4, or one of "
            f"{', '.join(_GRANULARITIES)} such as PerGroup(32) is possible."
        )


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def _apply(model: nn.Module, recipe: Recipe) -> Quantization:
    """Let torchao quantize every `nn.Linear` that is neither kept nor tied.

    Raises:
        RecipeError: The model has no such layer, or torchao cannot do this here.
    """
    from torch import nn  # noqa: PLC0415 - imported lazily by contract
    from torchao.quantization import quantize_  # noqa: PLC0415 - an extra

    from pytest_qeval.quantize.places import nothing_to_quantize, plan_places, weight_of  # noqa: PLC0415 - imports torch

    start = time.perf_counter()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # `plan_places` keeps what no scheme is for; which one this says does not matter, torchao knows its own.
    places = plan_places(model, replace(recipe, weights=WeightScheme(bits=8)))
    # GPT-2's `Conv1D` stays: torchao has no such layer.
    chosen = {place.name for place in places if not place.kept and type(place.find(model)) is nn.Linear}
    if not chosen:
        raise RecipeError(nothing_to_quantize(model, recipe, n_linear=sum(place.kept for place in places)))
    before = {place.name: weight_of(place.find(model)).nbytes for place in places}
    try:
        quantize_(model, _build(recipe.config), filter_fn=lambda _, name: name in chosen)
    except (ArithmeticError, AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        # torchao says by any of these that a machine, a size or an argument does not fit
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RecipeError(f"recipe {recipe.name!r}: torchao cannot do this to this model here: {reason}") from error
    return Quantization(
        layers=tuple(_record(model, place, before[place.name], quantized=place.name in chosen) for place in places),
        parameters=parameters,
        duration_s=time.perf_counter() - start,
    )


def _build(config: str) -> Any:
    """Make torchao's object; compiler settings, which torchao changes for the whole process, stay as they are."""
    from torchao import quantization  # noqa: PLC0415 - an extra

    call = _parse(config)
    kind = getattr(quantization, call.name)
    arguments = {name: _value(value) for name, value in call.arguments.items()}
    if hasattr(kind, "set_inductor_config"):
        arguments.setdefault("set_inductor_config", False)
    return kind(**arguments)


def _value(value: ast.expr) -> Any:
    """Turn what `_check_value` let pass into an object."""
    import torch  # noqa: PLC0415 - as above
    from torchao.quantization import granularity  # noqa: PLC0415 - an extra

    if isinstance(value, ast.Name):
        return getattr(torch, value.id)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return getattr(granularity, value.func.id)(*map(ast.literal_eval, value.args))
    return ast.literal_eval(value)


def _record(model: nn.Module, place: Place, bytes_before: int, *, quantized: bool) -> LayerRecord:
    from pytest_qeval.quantize.places import weight_of  # noqa: PLC0415 - imports torch

    weight: Any = weight_of(place.find(model))
    parts = [getattr(weight, name) for name in weight.__tensor_flatten__()[0]] if quantized else [weight]
    bits = _bits(weight, parts[0])
    return LayerRecord(
        name=place.name,
        shape=(weight.shape[0], weight.shape[1]),
        bits=bits,
        kept=not quantized,
        bytes_before=bytes_before,
        bytes_after=sum(part.nbytes for part in parts),
        granularity=_granularity(weight) if quantized else "",
        execution="native" if quantized else "full precision",
        note=_note(weight, parts[0], bits) if quantized else "",
    )


def _bits(weight: Any, values: torch.Tensor) -> int:
    """Bits per weight: those of the type that torchao rounded to, or else what one takes."""
    target = re.search(r"int(\d)", str(getattr(weight, "target_dtype", "")))
    return int(target[1]) if target else 8 * values.nbytes // weight.numel()


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
