"""Copies of the embedded model that differ from it in one way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from pytest_qeval.demo import MODEL_DIR

Tensors = dict[str, torch.Tensor]


def copy_demo(path: Path, **config: Any) -> Path:
    """Copy the embedded model, with other values in its config."""
    shutil.copytree(MODEL_DIR, path)
    return edit_json(path / "config.json", **config).parent


def edit_json(file: Path, **values: Any) -> Path:
    """Set values of a JSON file."""
    content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps({**content, **values}), encoding="utf-8")
    return file


def edit_tensors(path: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """Rewrite the weights of a model directory."""
    file = path / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    save_file(change(tensors), file, {"format": "pt"})
    return path


def to_float8(tensors: Tensors, *, block: int | None = None) -> Tensors:
    """Store the weights of linear layers in 8 bits, with a scale each, or one for each block of a matrix."""
    changed = {}
    for name, weight in tensors.items():
        if ".layers." not in name or weight.ndim == 1:
            changed[name] = weight
            continue
        rows, columns = weight.shape
        sizes = (block or rows, block or columns)
        blocks = weight.reshape(rows // sizes[0], sizes[0], columns // sizes[1], sizes[1])
        scales = blocks.abs().amax((1, 3)) / torch.finfo(torch.float8_e4m3fn).max
        changed[name] = (blocks / scales[:, None, :, None]).reshape(rows, columns).to(torch.float8_e4m3fn)
        changed[f"{name}_scale_inv" if block else f"{name}_scale"] = scales if block else scales.reshape(1)
    return changed
