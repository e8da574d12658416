"""Quantized checkpoints: written in the compressed-tensors format, and read back to the very same integers.

Other programs (transformers with the package compressed-tensors, vLLM) read `config.json` and `model.safetensors`; this
one also reads `qeval.json`, which holds the recipe and the exact ranges, and computes with its own kernels again. What
they would read wrongly is for this program alone: the weights then lie in `qeval.safetensors`, where transformers does
not look for any (it would ignore a quantization that it does not know), and the method is called `qeval`.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import ModelSourceError, RecipeError, UsageError
from pytest_qeval.quantize.activations import StaticRange
from pytest_qeval.quantize.packing import pack, unpack
from pytest_qeval.quantize.places import Place, plan_places, rule_for, weight_of
from pytest_qeval.quantize.recipe import (
    EXPORT_FILE,
    ActivationScheme,
    CalibrationPlan,
    LayerRule,
    Recipe,
    WeightScheme,
)
from pytest_qeval.quantize.weights import QuantizedWeight, quantize_weight

__all__ = ["FILE", "Exporter", "StoredCheckpoint", "read_checkpoint"]

FILE = EXPORT_FILE
_WEIGHTS = "model.safetensors"
_OWN_WEIGHTS = "qeval.safetensors"
_VERSION = 1
_BYTE = 8
_ATTEMPTS = 100
"""At taking a folder's place, which others may take at the same moment."""


class Exporter:
    """Watches `quantize_` round the weights, and writes what it saw.

    Until it has written, every integer is held twice: by the model and here.
    """

    def __init__(self, model: nn.Module, recipe: Recipe) -> None:
        """Take the model before it is quantized.

        Raises:
            RecipeError: for a recipe of another package, whose layers only that package can write.
        """
        if recipe.quantizer:
            raise RecipeError(
                f"--qeval-export writes this package's own schemes; {recipe.name} is {recipe.quantizer}'s to write."
            )
        self._recipe = recipe
        self._places = {place.name: place for place in plan_places(model, recipe)}
        self._transposed = [place.name for place in self._quantized if isinstance(place.find(model), Conv1D)]
        self._common = not self._transposed and all(_fills_groups(place, model) for place in self._quantized)
        rounded = {f"{name}.weight" for place in self._quantized for name in place.names}
        kept = {name: tensor for name, tensor in model.state_dict().items() if name not in rounded}
        self._floats = _without_aliases(kept)
        self._weights: dict[str, QuantizedWeight] = {}

    def round(self, place: Place, weight: torch.Tensor) -> QuantizedWeight:
        """Round a weight as the recipe says, and keep it; a `Rounding`."""
        assert place.rule is not None  # noqa: S101 - kept layers are not rounded
        self._weights[place.name] = quantize_weight(weight, place.rule.weights)
        return self._weights[place.name]

    def write(self, directory: Path, model: Any, tokenizer: Any, ranges: Mapping[str, StaticRange]) -> int:
        """Write weights, configs and tokenizer, all or nothing; give the bytes of the weight file.

        Args:
            directory: Made if need be; an earlier export is replaced.
            model: For its config and its generation config, of transformers.
            tokenizer: The model's tokenizer, of transformers.
            ranges: What calibration found.

        Raises:
            UsageError: when the folder cannot be written, or holds something else.
        """
        target = directory.resolve()
        unfinished = _sibling(target)
        try:
            unfinished.mkdir(parents=True)
            size = self._write_files(unfinished, model, tokenizer, ranges)
            _take_place(unfinished, target)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"the quantized checkpoint cannot be written to {directory}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return size

    def _write_files(self, directory: Path, model: Any, tokenizer: Any, ranges: Mapping[str, StaticRange]) -> int:
        tensors = {**self._floats}
        for place in self._quantized:
            tensors |= self._tensors(place, ranges.get(place.name))
        file = directory / (_WEIGHTS if self._common else _OWN_WEIGHTS)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, {"format": "pt"})
        tokenizer.save_pretrained(directory)
        model.generation_config.save_pretrained(directory)
        _write_json(directory / "config.json", self._config(model.config))
        _write_json(directory / FILE, self._recipe_content(ranges))
        file.chmod((directory / FILE).stat().st_mode)  # safetensors lets nobody else read it
        return file.stat().st_size

    @property
    def _quantized(self) -> list[Place]:
        return [place for place in self._places.values() if not place.kept]

    def _tensors(self, place: Place, static: StaticRange | None) -> dict[str, torch.Tensor]:
        """Give one layer's tensors under their names in the format."""
        assert place.rule is not None  # noqa: S101 - quantized places have one
        weight, scheme = self._weights[place.name], place.rule.weights
        scales = weight.scales[:1, 0] if scheme.granularity == "per_tensor" else weight.scales
        tensors = {"weight_scale": scales}
        if scheme.bits == _BYTE:
            tensors["weight"] = weight.values
        else:
            tensors["weight_packed"] = pack(weight.values, scheme.bits)
            tensors["weight_shape"] = torch.tensor(weight.values.shape)
        if static is not None and place.rule.activations is not None:
            scale, offset = static.grid(place.rule.activations)
            tensors["input_scale"] = torch.tensor([scale])
            if offset is not None:
                tensors["input_zero_point"] = torch.tensor([offset], dtype=torch.int8)
        return {f"{place.name}.{name}": tensor for name, tensor in tensors.items()}

    def _config(self, model_config: Any) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(model_config.to_json_string())
        rules = list(dict.fromkeys(place.rule for place in self._quantized if place.rule))
        config["quantization_config"] = {
            "quant_method": "compressed-tensors" if self._common else "qeval",
            "quantization_status": "compressed",
            "ignore": [place.name for place in self._places.values() if place.kept],
            "config_groups": {
                f"group_{index}": self._group(rule, alone=len(rules) == 1) for index, rule in enumerate(rules)
            },
        }
        return config

    def _group(self, rule: LayerRule, *, alone: bool) -> dict[str, Any]:
        layers = [place.name for place in self._quantized if place.rule == rule]
        group = {
            "targets": ["Linear"] if alone else layers,
            "format": "int-quantized" if rule.weights.bits == _BYTE else "pack-quantized",
            "weights": _weight_config(rule.weights),
        }
        return group | ({"input_activations": _activation_config(rule.activations)} if rule.activations else {})

    def _recipe_content(self, ranges: Mapping[str, StaticRange]) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "recipe": asdict(self._recipe),
            "ranges": {name: asdict(static) for name, static in ranges.items()},
            "transposed": self._transposed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """What was read back."""

    recipe: Recipe
    ranges: Mapping[str, StaticRange]
    floats: Mapping[str, torch.Tensor]
    """What was not quantized, by its name in the state dict."""
    weights: Mapping[str, QuantizedWeight]
    """By name of the layer."""
    transposed: frozenset[str]
    """Layers that the model itself holds as `[in_features, out_features]`."""

    def round(self, place: Place, weight: torch.Tensor) -> QuantizedWeight:
        """Give a layer's stored integers instead of rounding `weight`; a `Rounding`.

        Raises:
            ModelSourceError: when there are none for this layer.
        """
        del weight
        if place.name not in self.weights:
            raise ModelSourceError(
                f"the quantized checkpoint holds no integers for {place.name}, which its recipe quantizes: "
                "export it again."
            )
        return self.weights[place.name]

    def state_dict(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """Give a state dict in floating point, with which the model can be built before it is quantized again."""
        rounded = {name: weight.dequantize(dtype) for name, weight in self.weights.items()}
        turned = {name: rounded[name].t().contiguous() for name in self.transposed}
        return {**self.floats, **{f"{name}.weight": weight for name, weight in {**rounded, **turned}.items()}}


_BROKEN = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError),
    *(SafetensorError, RecipeError),
)
"""What reading raises where a file is not what it should be."""


def read_checkpoint(directory: Path) -> StoredCheckpoint:
    """Read what `Exporter` wrote.

    Raises:
        ModelSourceError: when files are missing, cut short, or of a newer version.
    """
    try:
        content = json.loads((directory / FILE).read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ModelSourceError(
                f"{directory / FILE} is of version {content['version']}, and this program reads version {_VERSION}: "
                "use the newer pytest-qeval that wrote it."
            )
        recipe = _recipe(content["recipe"])
        ranges = {name: StaticRange(**static) for name, static in content["ranges"].items()}
        transposed = frozenset(content["transposed"])
        floats, weights = _read_tensors(_weight_file(directory), recipe)
    except _BROKEN as error:
        raise ModelSourceError(f"{directory} is no whole quantized checkpoint ({error!r}): export it again.") from error
    return StoredCheckpoint(recipe=recipe, ranges=ranges, floats=floats, weights=weights, transposed=transposed)


def _recipe(row: dict[str, Any]) -> Recipe:
    """Read what `asdict` made of a recipe, through JSON."""
    plan = row["calibration"]
    return Recipe(
        **{
            **row,
            "kept": tuple(row["kept"]),
            "weights": row["weights"] and WeightScheme(**row["weights"]),
            "activations": row["activations"] and ActivationScheme(**row["activations"]),
            "calibration": plan and CalibrationPlan(**plan),
            "rules": tuple(
                LayerRule(
                    pattern=rule["pattern"],
                    weights=WeightScheme(**rule["weights"]),
                    activations=rule["activations"] and ActivationScheme(**rule["activations"]),
                )
                for rule in row["rules"]
            ),
        }
    )


def _weight_file(directory: Path) -> Path:
    own = directory / _OWN_WEIGHTS
    return own if own.is_file() else directory / _WEIGHTS


def _read_tensors(file: Path, recipe: Recipe) -> tuple[dict[str, torch.Tensor], dict[str, QuantizedWeight]]:
    with safe_open(file, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    suffix = ".weight_scale"
    layers = [name.removesuffix(suffix) for name in tensors if name.endswith(suffix)]
    weights = {layer: _read_weight(layer, tensors, recipe) for layer in layers}
    own = {name for layer in layers for name in tensors if name.startswith(f"{layer}.") and not name.endswith(".bias")}
    return {name: tensor for name, tensor in tensors.items() if name not in own}, weights


def _read_weight(layer: str, tensors: Mapping[str, torch.Tensor], recipe: Recipe) -> QuantizedWeight:
    rule = rule_for(Place(names=(layer,)), recipe)
    if rule is None:
        raise KeyError(layer)
    scheme, scales = rule.weights, tensors[f"{layer}.weight_scale"]
    if scheme.bits == _BYTE:
        values = tensors[f"{layer}.weight"]
    else:
        columns = int(tensors[f"{layer}.weight_shape"][1])
        values = unpack(tensors[f"{layer}.weight_packed"], scheme.bits, columns)
    if scheme.granularity == "per_tensor":
        scales = scales.expand(values.shape[0], 1).contiguous()
    return QuantizedWeight(values, scales.float(), min(scheme.group_size or values.shape[1], values.shape[1]))


def _fills_groups(place: Place, model: nn.Module) -> bool:
    """Whether a layer's rows are whole groups; the format knows no last group that is shorter."""
    assert place.rule is not None  # noqa: S101 - quantized places have one
    size = place.rule.weights.group_size
    return not size or weight_of(place.find(model)).shape[1] % size == 0


def _sibling(directory: Path) -> Path:
    """Name a folder beside another, on the same disk, that nobody else has."""
    return directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")


def _take_place(made: Path, directory: Path) -> None:
    """Rename a folder to `directory`, where there may be an empty folder or an earlier export, or soon another's.

    Raises:
        UsageError: when there is something else.
    """
    for _ in range(_ATTEMPTS):
        if _is_foreign(directory):
            raise UsageError(
                f"{directory} holds something other than an export (there is no {FILE}): empty it, or name another "
                "folder."
            )
        aside = _sibling(directory)
        with suppress(FileNotFoundError):
            directory.rename(aside)
        try:
            made.rename(directory)
        except OSError:
            if not directory.is_dir():  # or else another program was faster
                with suppress(FileNotFoundError):
                    aside.rename(directory)
                raise
        else:
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise OSError(f"other programs keep writing there ({_ATTEMPTS} attempts)")


def _is_foreign(directory: Path) -> bool:
    """Whether there is something that is no export; what another program is replacing just now is none."""
    try:
        names = {entry.name for entry in directory.iterdir()}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
    return bool(names) and FILE not in names and not (directory / FILE).is_file() and directory.is_dir()


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _without_aliases(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out tensors that are another's memory, such as an output layer tied to the embeddings."""
    first: dict[tuple[int, int], str] = {}
    for name, tensor in tensors.items():
        first.setdefault((tensor.data_ptr(), tensor.nbytes), name)
    return {name: tensors[name] for name in first.values()}


def _weight_config(scheme: WeightScheme) -> dict[str, Any]:
    strategy = {"per_tensor": "tensor", "per_channel": "channel", "per_group": "group"}[scheme.granularity]
    config = {"num_bits": scheme.bits, "type": "int", "symmetric": True, "dynamic": False, "strategy": strategy}
    return config | ({"group_size": scheme.group_size} if scheme.group_size else {})


def _activation_config(scheme: ActivationScheme) -> dict[str, Any]:
    return {
        "num_bits": scheme.bits,
        "type": "int",
        "symmetric": scheme.symmetric,
        "dynamic": scheme.dynamic,
        "strategy": scheme.granularity.removeprefix("per_"),
    }
