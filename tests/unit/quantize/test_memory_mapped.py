"""Pages of a mapped file are given back, and nothing else is touched."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.builtin import INT8
from pytest_qeval.quantize.memory_mapped import MappedFiles, NewlyMapped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mapped files are found through /proc")
PAGES = 64


def resident_pages(tensor: torch.Tensor) -> int:
    """Count a mapped tensor's pages that are in this process's memory (`Rss` of its mapping)."""
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines()
    inside = False
    for line in lines:
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            start, end = (int(part, 16) for part in head.split("-"))
            inside = start <= tensor.data_ptr() < end
        elif inside and head == "Rss:":
            return int(line.split()[1]) * 1024 // mmap.PAGESIZE
    return 0


def test_a_file_s_pages_are_given_back_and_read_again(tmp_path: Path) -> None:
    """Whoever still holds the tensor finds the file's numbers."""
    file = tmp_path / "weights"
    file.write_bytes(bytes(range(256)) * (PAGES * mmap.PAGESIZE // 256))
    mapped = torch.from_file(str(file), shared=False, size=PAGES * mmap.PAGESIZE, dtype=torch.uint8)
    before = mapped.clone()
    assert resident_pages(mapped) >= PAGES
    MappedFiles().release(mapped)
    assert resident_pages(mapped) <= 2
    assert torch.equal(mapped, before)


def test_memory_of_one_s_own_is_left_alone() -> None:
    tensor = torch.randn(PAGES * mmap.PAGESIZE)
    before = tensor.clone()
    MappedFiles().release(tensor)
    assert torch.equal(tensor, before)


def test_quantizing_a_mapped_model_changes_neither_what_is_kept_nor_the_file(tmp_path: Path) -> None:
    config = LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4, vocab_size=512
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    quantize_(model, INT8)
    assert torch.equal(model.lm_head.weight, stored["lm_head.weight"])
    assert torch.equal(model.model.embed_tokens.weight, stored["model.embed_tokens.weight"])
    again = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in stored.items())


def mapped_file(file: Path) -> torch.Tensor:
    """Map a new file, and read it."""
    file.write_bytes(bytes(range(256)) * (PAGES * mmap.PAGESIZE // 256))
    mapped = torch.from_file(str(file), shared=False, size=PAGES * mmap.PAGESIZE, dtype=torch.uint8)
    assert int(mapped.sum()) > 0
    assert resident_pages(mapped) >= PAGES
    return mapped


def test_files_mapped_since_are_given_back(tmp_path: Path) -> None:
    """Those mapped before stay, and so do those in which something was changed."""
    old = mapped_file(tmp_path / "old")
    files = NewlyMapped()
    new, changed = mapped_file(tmp_path / "new"), mapped_file(tmp_path / "changed")
    changed[0] = 7
    files.release()
    assert resident_pages(new) == 0
    assert min(resident_pages(old), resident_pages(changed)) >= PAGES
    assert int(changed[0]) == 7
    assert torch.equal(new, old)


def test_where_pages_are_not_told_nothing_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a sandbox for containers that emulates the kernel."""
    monkeypatch.setattr("pytest_qeval.quantize.memory_mapped._PAGES", tmp_path / "pagemap")
    files = NewlyMapped()
    new = mapped_file(tmp_path / "new")
    files.release()

    assert resident_pages(new) >= PAGES


def test_elsewhere_nothing_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    tensor = torch.ones(PAGES * mmap.PAGESIZE)
    MappedFiles().release(tensor)
    NewlyMapped().release()
    assert bool((tensor == 1).all())


def test_quantizing_gives_back_every_weight_that_it_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none that stays: the output layer is kept."""
    config = LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=4, vocab_size=512
    )
    model = LlamaForCausalLM(config)
    layers = [module for module in model.model.modules() if type(module) is torch.nn.Linear]
    expected = {layer.weight.data_ptr() for layer in layers}
    released: set[int] = set()

    def release(_: MappedFiles, tensor: torch.Tensor) -> None:
        if tensor.is_floating_point():  # integers may be those of a stored model
            released.add(tensor.data_ptr())

    monkeypatch.setattr(MappedFiles, "release", release)
    quantize_(model, INT8)
    assert released == expected
