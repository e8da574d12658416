"""Refuse a model that is not the one in its files: tensors that were not found, ignored or not finite."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
import transformers
from torch import nn

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.memory_mapped import MappedFiles

_HAVE_DEFAULTS = ("g_idx", "bias")
"""Tensors of quantized layers that formats leave out: GPTQ's order of groups, and a bias of zeros."""
_MAX_NAMES = 3
"""Tensors that a message names."""


def check_complete(source: ModelSource, found: Mapping[str, Collection[Any]]) -> None:
    """Refuse a model with weights that transformers has drawn at random, or tensors that it has not used.

    transformers only logs either. Dropped scales change every completion. What is `found` is the `output_loading_info`
    of `from_pretrained`, without what a model's class declares to be no loss.

    Raises:
        ModelSourceError: with the tensors' names.
    """
    if missing := _missing(source, found["missing_keys"]):
        raise ModelSourceError(
            f"the weight files of {source.name} lack {_listed(missing)}, which its config asks for: fetch or export "
            "the model again."
        )
    if sizes := sorted(
        f"{name} {tuple(stored)} for {tuple(own)}" for name, stored, own in found.get("mismatched_keys", ())
    ):
        raise ModelSourceError(
            f"the weight files of {source.name} do not fit its config: {_listed(sizes)}. Fetch the model again."
        )
    if ignored := sorted(found.get("unexpected_keys", ())):
        raise ModelSourceError(
            f"transformers {transformers.__version__} has no use for {_listed(ignored)} in the weight files of "
            f"{source.name}, and would ignore them: the model would not be the one in its files. Install the "
            "transformers that the model was made for, or convert the checkpoint."
        )


def check_finite(source: ModelSource, model: nn.Module, known: Collection[str] = ()) -> None:
    """Refuse a model with weights that are not finite: its logits are not, and every completion is noise.

    The pages of mapped weights are released after they have been read. Of weights that are on the meta device those
    that are `known` to be broken count.

    Raises:
        ModelSourceError: with the tensors' names.
    """
    files = MappedFiles()
    broken = []
    for name, tensor in _floats(model):
        if name in known or not (tensor.is_meta or is_finite(tensor)):
            broken.append(name)
        files.release(tensor)
    if broken:
        raise ModelSourceError(
            f"{source.name} holds NaN or infinity in {_listed(broken)}: the checkpoint is damaged, or overflowed when "
            "it was converted. Fetch or convert it again."
        )


def _missing(source: ModelSource, missing: Collection[str]) -> list[str]:
    return sorted(name for name in missing if not source.stored or name.rpartition(".")[2] not in _HAVE_DEFAULTS)


def _floats(model: nn.Module) -> Iterable[tuple[str, torch.Tensor]]:
    """Return plain floating-point parameters; those of 8 bits have scales, which are parameters too."""
    return (
        (name, parameter.detach())
        for name, parameter in model.named_parameters()
        if type(parameter) is nn.Parameter and parameter.is_floating_point() and parameter.itemsize > 1
    )


def is_finite(tensor: torch.Tensor) -> bool:
    """Return whether all values are finite.

    The least and the greatest value tell, whose place NaN takes; `isfinite` takes 15 times as long.
    """
    return not tensor.numel() or all(bool(value.isfinite()) for value in tensor.aminmax())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"
