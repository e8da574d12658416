"""Parse torchao configurations as recipes write them, without importing torchao, and build them.

Arguments are written as in Python, but only literals, names of types and granularities are allowed, and nothing is
evaluated: `IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(32))`.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pytest_qeval.errors import RecipeError
from pytest_qeval.quantize.recipe import CalibrationPlan


class CalibratedConfig(NamedTuple):
    """A configuration that adapts another one, its base, to calibration texts."""

    module: str
    base: str
    plan: CalibrationPlan
    summary: str
    arguments: tuple[str, ...] = ()
    """Arguments that a recipe may set."""
    defaults: tuple[tuple[str, Any], ...] = ()
    """Arguments that differ from torchao's defaults."""


CALIBRATED = {
    "AWQConfig": CalibratedConfig(
        module="torchao.prototype.awq",
        base="Int8WeightOnlyConfig",
        # All inputs of all layers are held at once, and each layer computes on all of its own forty times.
        plan=CalibrationPlan(samples=32),
        summary="scales channels before Int8WeightOnlyConfig, the one base that a CPU computes (torchao 0.18); all "
        "inputs of all layers are in memory at once",
    ),
    "SmoothQuantConfig": CalibratedConfig(
        module="torchao.prototype.smoothquant",
        base="Int8DynamicActivationInt8WeightConfig",
        plan=CalibrationPlan(),
        summary="moves outliers of activations into the weights before Int8DynamicActivationInt8WeightConfig",
        arguments=("alpha",),
        # The default observer concatenates the inputs of all texts, and fails if their lengths differ.
        defaults=(("use_running_absmax", True),),
    ),
}
"""By class name; torchao's other prototypes are not supported."""

_GRANULARITIES = ("PerAxis", "PerGroup", "PerRow", "PerTensor", "PerToken")
_DTYPE = re.compile(r"u?int[1-8]|float8_(e4m3fn|e5m2)|b?float16|float32")
_EXAMPLE = "'IntxWeightOnlyConfig(weight_dtype=int4, granularity=PerGroup(32))'"


class Steps(NamedTuple):
    """Configurations for torchao's `quantize_`, which is called once, or twice with texts in between."""

    prepare: Any | None
    """Inserts observers; None for a configuration without calibration."""
    convert: Any


class _Call(NamedTuple):
    """A class name and the arguments as written."""

    name: str
    arguments: Mapping[str, ast.expr]


def check_configuration(config: str, package: Path) -> str:
    """Return the name of the class that a recipe configures.

    Args:
        config: Such as `Int8WeightOnlyConfig(granularity=PerTensor())`.
        package: The folder of torchao.

    Raises:
        RecipeError: torchao has no such class or argument, or the text cannot be parsed.
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
    """Parse a class name, or a call of one with keyword arguments only."""
    try:
        node = ast.parse(config.strip(), mode="eval").body
    except SyntaxError:
        node = ast.Constant(None)
    call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
    arguments = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if not isinstance(call.func, ast.Name) or call.args or len(arguments) < len(call.keywords):
        raise RecipeError(
            f"{config!r} is no configuration of torchao; one is written as 'Int8WeightOnlyConfig' or as {_EXAMPLE}."
        )
    return _Call(call.func.id, arguments)


def _configurations(package: Path) -> dict[str, Sequence[str]]:
    """Return torchao's configurations and their arguments, read from its source, because importing it imports torch.

    Left out are those with static activations, whose scales are tensors, and `FqnToConfig`, which maps modules to
    configurations.
    """
    source = (package / "quantization" / "quant_api.py").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about invalid escape sequences in torchao
        tree = ast.parse(source)
    found = {
        node.name: [
            field.target.id
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        ]
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base) == "AOBaseConfig" for base in node.bases)
        and not re.search("Static|Fqn", node.name)
    }
    return {**found, **{name: config.arguments for name, config in CALIBRATED.items()}}


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    guess = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{what} {name!r} that a recipe can name.{guess} Available: {', '.join(sorted(known)) or 'none'}."


def _check_value(argument: str, value: ast.expr) -> None:
    """Refuse a value that is neither a literal nor a type nor a granularity."""
    understood = _is_literal(value) or (isinstance(value, ast.Name) and _DTYPE.fullmatch(value.id))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _GRANULARITIES:
        understood = not value.keywords and all(map(_is_literal, value.args))
    if not understood:
        raise RecipeError(
            f"{argument}={ast.unparse(value)} cannot be read; a number, a quoted word, a type such as int4, or one of "
            f"{', '.join(_GRANULARITIES)} such as PerGroup(32) is possible."
        )
    number = value.value if isinstance(value, ast.Constant) else None
    if argument == "alpha" and not (type(number) in {int, float} and 0 <= number <= 1):  # type: ignore[operator]
        raise RecipeError(f"alpha={ast.unparse(value)}: SmoothQuant moves a share, a number from 0 to 1.")


def _is_literal(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def build_steps(config: str) -> Steps:
    """Build torchao's configuration objects from a text that `check_configuration` has accepted."""
    call = _parse(config)
    if call.name not in CALIBRATED:
        return Steps(None, _build(call))
    calibrated = CALIBRATED[call.name]
    kind = getattr(import_module(calibrated.module), call.name)
    base = _build(_Call(calibrated.base, {}))
    arguments = dict(calibrated.defaults) | {name: _value(value) for name, value in call.arguments.items()}
    return Steps(*(kind(base, step=step, **arguments) for step in ("prepare", "convert")))


def _build(call: _Call) -> Any:
    """Build one configuration; torchao must not change the compiler's settings for the whole process."""
    kind = getattr(import_module("torchao.quantization"), call.name)
    arguments = {name: _value(value) for name, value in call.arguments.items()}
    if hasattr(kind, "set_inductor_config"):
        arguments.setdefault("set_inductor_config", False)
    return kind(**arguments)


def _value(value: ast.expr) -> Any:
    """Turn an argument that `_check_value` has accepted into an object."""
    if isinstance(value, ast.Name):
        return getattr(import_module("torch"), value.id)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        granularity = import_module("torchao.quantization.granularity")
        return getattr(granularity, value.func.id)(*map(ast.literal_eval, value.args))
    return ast.literal_eval(value)
