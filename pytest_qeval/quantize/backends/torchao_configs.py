"""Configurations of torchao as a recipe writes them: read and checked without importing torchao, and built.

Arguments are written as in Python, but only literals, types by their names and granularities are understood, and
nothing is evaluated: `IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(32))`.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.recipe import CalibrationPlan

__all__ = ["CALIBRATED", "Calibrated", "Steps", "build_steps", "check_configuration"]


class Calibrated(NamedTuple):
    """A configuration that fits another one, its base, to texts."""

    module: str
    base: str
    plan: CalibrationPlan
    summary: str
    arguments: tuple[str, ...] = ()
    """What a recipe may say about it."""
    settings: tuple[tuple[str, Any], ...] = ()
    """What it is given that torchao does not do by default."""


CALIBRATED = {
    "AWQConfig": Calibrated(
        module="torchao.prototype.awq",
        base="Int8WeightOnlyConfig",
        # All inputs of all layers are held at once, and each layer computes on all of its own forty times.
        plan=CalibrationPlan(samples=32),
        summary="scales channels before Int8WeightOnlyConfig, the one base that a CPU computes (torchao 0.18); all "
        "inputs of all layers are in memory at once",
    ),
    "SmoothQuantConfig": Calibrated(
        module="torchao.prototype.smoothquant",
        base="Int8DynamicActivationInt8WeightConfig",
        plan=CalibrationPlan(),
        summary="moves outliers of activations into the weights before Int8DynamicActivationInt8WeightConfig",
        arguments=("alpha",),
        # The default observer joins the inputs of all texts, and fails when one is longer than another.
        settings=(("use_running_absmax", True),),
    ),
}
"""By class name; torchao has more in its prototypes, which are not offered."""

_GRANULARITIES = ("PerAxis", "PerGroup", "PerRow", "PerTensor", "PerToken")
_DTYPE = re.compile(r"u?int[1-8]|float8_(e4m3fn|e5m2)|b?float16|float32")
_EXAMPLE = "'IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(32))'"


class Steps(NamedTuple):
    """What torchao's `quantize_` is given: once, or twice with texts in between."""

    prepare: Any | None
    """Lets layers observe their inputs; None for a configuration that looks at no texts."""
    convert: Any


class _Call(NamedTuple):
    """A class and its arguments, as they are written."""

    name: str
    arguments: dict[str, ast.expr]


def check_configuration(config: str, package: Path) -> str:
    """Return the class that a recipe names.

    Args:
        config: Such as `Int8WeightOnlyConfig(granularity=PerTensor())`.
        package: The folder of torchao.

    Raises:
        RecipeError: when torchao has no such class or argument, or when something cannot be read.
    """
    call = _parse(config)
    if call.name == "GPTQConfig":
        raise RecipeError(
            "torchao's GPTQConfig computes on CUDA only, and is not offered. AWQConfig computes everywhere."
        )
    known = _configurations(package)
    if call.name not in known:
        raise RecipeError(_unknown("torchao has no configuration", call.name, list(known)))
    for argument, value in call.arguments.items():
        if argument not in known[call.name]:
            raise RecipeError(_unknown(f"torchao's {call.name} has no argument", argument, known[call.name]))
        _check_value(argument, value)
    return call.name


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
    found = {
        node.name: [
            field.target.id
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        ]
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in registered
    }
    return found | {name: list(calibrated.arguments) for name, calibrated in CALIBRATED.items()}


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
    if argument == "alpha" and not _is_share(value):
        raise RecipeError(f"alpha={ast.unparse(value)}: SmoothQuant moves a share, a number from 0 to 1.")


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def _is_share(value: ast.expr) -> bool:
    """Whether it is written as a number from 0 to 1."""
    if not isinstance(value, ast.Constant) or isinstance(value.value, bool):
        return False
    return isinstance(value.value, (int, float)) and 0 <= value.value <= 1


def build_steps(config: str) -> Steps:
    """Make torchao's objects from what `check_configuration` has let pass."""
    call = _parse(config)
    if call.name not in CALIBRATED:
        return Steps(None, _build(call))
    calibrated = CALIBRATED[call.name]
    kind = getattr(import_module(calibrated.module), call.name)
    base = _build(_Call(calibrated.base, {}))
    arguments = dict(calibrated.settings) | {name: _value(value) for name, value in call.arguments.items()}
    return Steps(*(kind(base, step=step, **arguments) for step in ("prepare", "convert")))


def _build(call: _Call) -> Any:
    """Make one object; compiler settings, which torchao changes for the whole process, stay as they are."""
    kind = getattr(import_module("torchao.quantization"), call.name)
    arguments = {name: _value(value) for name, value in call.arguments.items()}
    if hasattr(kind, "set_inductor_config"):
        arguments.setdefault("set_inductor_config", False)
    return kind(**arguments)


def _value(value: ast.expr) -> Any:
    """Turn what `_check_value` let pass into an object."""
    if isinstance(value, ast.Name):
        return getattr(import_module("torch"), value.id)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        granularity = import_module("torchao.quantization.granularity")
        return getattr(granularity, value.func.id)(*map(ast.literal_eval, value.args))
    return ast.literal_eval(value)
