"""A model computes the same bits with compiled loops and without."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import silu

from pytest_qeval.engines.hf.compiled_layers import use_compiled_loops
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops
from pytest_qeval.quantize.kernels.gated import gated_layer
from pytest_qeval.quantize.lookup import find_recipe
from tests.unit.quantize.models import make_llama

IDS = torch.arange(120).reshape(3, 40)

needs_loops = pytest.mark.skipif(compiled_loops() is None, reason="there are no compiled loops here")


@needs_loops
@pytest.mark.parametrize("recipe", ["bf16", "int8", "w8a6", "w8a16", "int4"])
@torch.inference_mode()
def test_logits_stay_the_same(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, compiled = make_llama(dtype=torch.bfloat16), make_llama(dtype=torch.bfloat16)
    quantize_(compiled, find_recipe(recipe))
    monkeypatch.setattr("pytest_qeval.quantize.kernels.linear.compiled_loops", lambda: None)
    quantize_(plain, find_recipe(recipe))
    use_compiled_loops(compiled)
    replaced = [type(module).__name__ for module in compiled.modules() if "forward" in vars(module)]
    assert replaced.count("LlamaRMSNorm") == 5
    assert replaced.count("LlamaMLP") == 2
    expected, found = plain(IDS).logits, compiled(IDS).logits
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


@needs_loops
def test_other_types_are_computed_as_before() -> None:
    plain, compiled = make_llama(), make_llama()
    use_compiled_loops(compiled)
    with torch.inference_mode():
        assert torch.equal(compiled(IDS).logits, plain(IDS).logits)


class Doubled(nn.Module):
    """Has the parts of a gated layer, but does something else."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = (nn.Linear(8, 8) for _ in range(3))
        self.act_fn = nn.SiLU()

    def forward(self, x: torch.Tensor) -> Any:
        """Gate twice."""
        return self.down_proj(2 * silu(self.gate_proj(x)) * self.up_proj(x))


class Scaled(Doubled):
    """Needs more than the parts."""

    def forward(self, x: torch.Tensor) -> Any:
        """Scale by a parameter that a gated layer has not."""
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x) * self.scale)


@needs_loops
@pytest.mark.parametrize("make", [Doubled, Scaled])
def test_a_layer_that_does_something_else_is_left_alone(make: type[nn.Module]) -> None:
    loops = compiled_loops()
    assert loops
    assert gated_layer(make(), loops) is None
    assert gated_layer(nn.Linear(8, 8), loops) is None


@needs_loops
def test_a_normalization_of_another_formula_is_left_alone() -> None:
    class OtherRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.zeros(64).bfloat16()), 1e-6

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Normalize with a weight around 1, as Gemma does."""
            wide = x.float()
            scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
            return (scaled * (1 + self.weight.float())).to(x.dtype)

    module = OtherRMSNorm()
    use_compiled_loops(module)
    assert "forward" not in vars(module)
