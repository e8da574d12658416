"""Quantized checkpoints, written in the compressed-tensors format; `quantize.exported` reads them back.

Transformers (with the package compressed-tensors) reads `config.json` and `model.safetensors`; this program also reads
`qeval.json`, which holds the recipe and the exact ranges, and computes with its own kernels again. What others would
read wrongly is for this program alone: the weights then lie in `qeval.safetensors`, where transformers does not look
for any (it would ignore a quantization that it does not know), and the method is called `qeval`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import RecipeError, UsageError
from pytest_qeval.quantize.checkpoints.exported import BYTE_BITS, OWN_WEIGHTS, VERSION, WEIGHTS
from pytest_qeval.quantize.checkpoints.folders import sibling, take_place
from pytest_qeval.quantize.checkpoints.packing import pack
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.weights import QuantizedWeight, quantize_weight
from pytest_qeval.quantize.places import Place, plan_places, weight_of
from pytest_qeval.quantize.recipe import EXPORT_FILE, ActivationScheme, LayerRule, Recipe, WeightScheme

__all__ = ["Exporter"]


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
        unfinished = sibling(target)
        try:
            unfinished.mkdir(parents=True)
            size = self._write_files(unfinished, model, tokenizer, ranges)
            take_place(unfinished, target, mark=EXPORT_FILE)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"the quantized checkpoint cannot be written to {directory}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return size

    def _write_files(self, directory: Path, model: Any, tokenizer: Any, ranges: Mapping[str, StaticRange]) -> int:
        tensors = {**self._floats}
        for place in self._quantized:
            tensors |= self._tensors(place, ranges.get(place.name))
        file = directory / (WEIGHTS if self._common else OWN_WEIGHTS)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, {"format": "pt"})
        tokenizer.save_pretrained(directory)
        model.generation_config.save_pretrained(directory)
        _write_json(directory / "config.json", self._config(model.config))
        _write_json(directory / EXPORT_FILE, self._recipe_content(ranges))
        file.chmod((directory / EXPORT_FILE).stat().st_mode)  # safetensors lets nobody else read it
        return file.stat().st_size

    @property
    def _quantized(self) -> list[Place]:
        return [place for place in self._places.values() if not place.kept]

    def _tensors(self, place: Place, static: StaticRange | None) -> dict[str, torch.Tensor]:
        """Return one layer's tensors under their names in the format."""
        assert place.rule is not None  # noqa: S101 - quantized places have one
        weight, scheme = self._weights[place.name], place.rule.weights
        scales = weight.scales[:1, 0] if scheme.granularity == "per_tensor" else weight.scales
        tensors = {"weight_scale": scales}
        if scheme.bits == BYTE_BITS:
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
            "format": "int-quantized" if rule.weights.bits == BYTE_BITS else "pack-quantized",
            "weights": _weight_config(rule.weights),
        }
        return group | ({"input_activations": _activation_config(rule.activations)} if rule.activations else {})

    def _recipe_content(self, ranges: Mapping[str, StaticRange]) -> dict[str, Any]:
        return {
            "version": VERSION,
            "recipe": asdict(self._recipe),
            "ranges": {name: asdict(static) for name, static in ranges.items()},
            "transposed": self._transposed,
        }


def _fills_groups(place: Place, model: nn.Module) -> bool:
    """Whether a layer's rows are whole groups; the format knows no last group that is shorter."""
    assert place.rule is not None  # noqa: S101 - quantized places have one
    size = place.rule.weights.group_size
    return not size or weight_of(place.find(model)).shape[1] % size == 0


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
