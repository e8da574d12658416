"""Write quantized checkpoints in the compressed-tensors format; `checkpoints.reader` reads them back.

transformers (with the package compressed-tensors) reads `config.json` and `model.safetensors`; this program also reads
`qeval.json`, which holds the recipe and the exact ranges, and computes with its own kernels again. An export that the
format cannot describe is for this program alone: its method is called `qeval`, and its weights are in
`qeval.safetensors`, because transformers would load them from `model.safetensors` and ignore the unknown method.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import RecipeError, UsageError
from pytest_qeval.quantize.apply import Rounding, round_weight
from pytest_qeval.quantize.checkpoints.atomic_folder import replace_folder, temporary_sibling
from pytest_qeval.quantize.checkpoints.packing import pack_int32
from pytest_qeval.quantize.checkpoints.reader import BYTE_BITS, ExportContent
from pytest_qeval.quantize.checkpoints.weight_files import OWN_WEIGHTS, WEIGHTS
from pytest_qeval.quantize.experts import stacked_experts, unpack_experts_
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.weights import QuantizedWeight
from pytest_qeval.quantize.layers import LayerPlan, plan_layers, weight_of
from pytest_qeval.quantize.recipe import EXPORT_FILE, ActivationScheme, LayerRule, Recipe, WeightScheme


class Exporter:
    """Records the weights that `quantize_` rounds, and writes them; until then every integer is held twice."""

    def __init__(self, model: nn.Module, recipe: Recipe, rounding: Rounding | None = None) -> None:
        """Take the model before it is quantized; by default its weights are rounded as the recipe says.

        Raises:
            RecipeError: The recipe is another package's, whose layers only that package can write.
        """
        if recipe.quantizer:
            raise RecipeError(
                f"--qeval-export writes this package's own schemes; {recipe.name} is {recipe.quantizer}'s to write."
            )
        self._recipe = recipe
        self._rounding = rounding or round_weight
        unpack_experts_(model)
        plans = plan_layers(model, recipe)
        self._kept = [plan.name for plan in plans if plan.kept]
        self._rules = {plan.name: plan.rule for plan in plans if plan.rule}
        modules = {plan.name: plan.module(model) for plan in plans if plan.rule}
        self._transposed = tuple(name for name, module in modules.items() if isinstance(module, Conv1D))
        sizes = (self._rules[name].weights.group_size or 1 for name in modules)
        whole = (weight_of(module).shape[1] % size == 0 for module, size in zip(modules.values(), sizes, strict=True))
        self._stacked = stacked_experts(model)
        self._standard = not self._transposed and not self._stacked and all(whole)
        rounded = {f"{name}.weight" for plan in plans if plan.rule for name in plan.names}
        kept = {name: tensor for name, tensor in model.state_dict().items() if name not in rounded}
        self._floats = _without_aliases(kept)
        self._weights: dict[str, QuantizedWeight] = {}

    def round(self, layer: LayerPlan, weight: torch.Tensor) -> QuantizedWeight:
        """Round a weight, and keep it; a `Rounding`."""
        self._weights[layer.name] = self._rounding(layer, weight)
        return self._weights[layer.name]

    def write(
        self,
        directory: Path,
        config: Any,
        tokenizer: Any,
        ranges: Mapping[str, StaticRange],
        generation_config: Path | None = None,
    ) -> int:
        """Write weights, configs and tokenizer, all or nothing; return the bytes of the weight file.

        Args:
            directory: Created if need be; an earlier export is replaced.
            config: The model's config, of transformers.
            tokenizer: The model's tokenizer, of transformers.
            ranges: The calibrated ranges.
            generation_config: A file to copy: how a model is to be sampled does not change with its precision.

        Raises:
            UsageError: The folder cannot be written, or holds something else.
        """
        target = directory.resolve()
        unfinished = temporary_sibling(target)
        try:
            unfinished.mkdir(parents=True)
            size = self._write_files(unfinished, config, tokenizer, ranges)
            if generation_config is not None:
                (unfinished / generation_config.name).write_bytes(generation_config.read_bytes())
            replace_folder(unfinished, target, mark=EXPORT_FILE)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"the quantized checkpoint cannot be written to {directory}: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return size

    def _write_files(self, directory: Path, config: Any, tokenizer: Any, ranges: Mapping[str, StaticRange]) -> int:
        tensors = {**self._floats}
        for name, rule in self._rules.items():
            tensors |= self._tensors(name, rule, ranges.get(name))
        file = directory / (WEIGHTS if self._standard else OWN_WEIGHTS)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file, {"format": "pt"})
        tokenizer.save_pretrained(directory)
        _write_json(directory / "config.json", self._config(config))
        content = ExportContent(
            recipe=self._recipe, ranges=dict(ranges), transposed=self._transposed, stacked=self._stacked
        )
        _write_json(directory / EXPORT_FILE, msgspec.to_builtins(content))
        file.chmod((directory / EXPORT_FILE).stat().st_mode)  # safetensors makes it unreadable for others
        return file.stat().st_size

    def _tensors(self, layer: str, rule: LayerRule, static: StaticRange | None) -> dict[str, torch.Tensor]:
        """Return one layer's tensors under their names in the format."""
        weight, scheme = self._weights[layer], rule.weights
        scales = weight.scales[:1, 0] if scheme.granularity == "per_tensor" else weight.scales
        tensors = {"weight_scale": scales}
        if scheme.bits == BYTE_BITS:
            tensors["weight"] = weight.values
        else:
            tensors["weight_packed"] = pack_int32(weight.values, scheme.bits)
            tensors["weight_shape"] = torch.tensor(weight.values.shape)
        if static is not None and rule.activations is not None:
            scale, offset = static.grid(rule.activations)
            tensors["input_scale"] = torch.tensor([scale])
            if offset is not None:
                tensors["input_zero_point"] = torch.tensor([offset], dtype=torch.int8)
        return {f"{layer}.{name}": tensor for name, tensor in tensors.items()}

    def _config(self, model_config: Any) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(model_config.to_json_string())
        rules = list(dict.fromkeys(self._rules.values()))
        config["quantization_config"] = {
            "quant_method": "compressed-tensors" if self._standard else "qeval",
            "quantization_status": "compressed",
            "ignore": self._kept,
            "config_groups": {
                f"group_{index}": self._group(rule, alone=len(rules) == 1) for index, rule in enumerate(rules)
            },
        }
        return config

    def _group(self, rule: LayerRule, *, alone: bool) -> dict[str, Any]:
        group = {
            "targets": ["Linear"] if alone else [name for name, other in self._rules.items() if other == rule],
            "format": "int-quantized" if rule.weights.bits == BYTE_BITS else "pack-quantized",
            "weights": _scheme_config(rule.weights),
        }
        return group | ({"input_activations": _scheme_config(rule.activations)} if rule.activations else {})


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _without_aliases(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out tensors that share the memory of another, such as an output layer tied to the embeddings."""
    first: dict[tuple[int, int], str] = {}
    for name, tensor in tensors.items():
        first.setdefault((tensor.data_ptr(), tensor.nbytes), name)
    return {name: tensors[name] for name in first.values()}


def _scheme_config(scheme: WeightScheme | ActivationScheme) -> dict[str, Any]:
    group_size = scheme.group_size if isinstance(scheme, WeightScheme) else None
    config = {
        "num_bits": scheme.bits,
        "type": "int",
        "symmetric": isinstance(scheme, WeightScheme) or scheme.symmetric,
        "dynamic": isinstance(scheme, ActivationScheme) and scheme.dynamic,
        "strategy": scheme.granularity.removeprefix("per_"),
    }
    return config | ({"group_size": group_size} if group_size else {})
