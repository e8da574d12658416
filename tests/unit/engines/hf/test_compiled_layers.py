"""A model computes the same bits with compiled loops and without."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytest_qeval.engines.hf.compiled_layers import use_compiled_loops
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.kernels.compiled.trial import compiled_loops
from pytest_qeval.quantize.kernels.gated import gated_layer
from pytest_qeval.quantize.lookup import find_recipe
from tests.unit.quantize.loops import needs_loops
from tests.unit.quantize.models import make_llama

IDS = torch.arange(120).reshape(3, 40)


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


Formula = Callable[[Any, Any], Any]


def make_gated(formula: Formula) -> Any:
    """Make a module with the parts of a gated layer and some formula."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_proj, self.up_proj, self.down_proj = (nn.Linear(64, 64).bfloat16() for _ in range(3))
            self.act_fn = nn.SiLU()
            self.norm = nn.LayerNorm(64)

        def forward(self, x: torch.Tensor) -> Any:
            """Compute the formula."""
            return formula(self, x)

    return Gated()


FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "twice": lambda m, x: m.down_proj(2 * m.act_fn(m.gate_proj(x)) * m.up_proj(x)),
    "normalized input": lambda m, x: m.down_proj(m.act_fn(m.gate_proj(x + 1)) * m.up_proj(x)),
    "clamped output": lambda m, x: m.down_proj(m.act_fn(m.gate_proj(x)) * m.up_proj(x)).clamp(-50, 50),
    "clamped gate": lambda m, x: m.down_proj(m.act_fn(m.gate_proj(x).clamp(max=7)) * m.up_proj(x)),
    "more parts": lambda m, x: m.norm(m.down_proj(m.act_fn(m.gate_proj(x)) * m.up_proj(x))),
    "two dimensions": lambda m, x: m.down_proj(m.act_fn(m.gate_proj(x)) * m.up_proj(x)).view(*map(int, x.shape[:2])),
}


@needs_loops
@pytest.mark.parametrize("name", FORMULAS)
def test_a_layer_that_does_something_else_is_left_alone(name: str) -> None:
    loops = compiled_loops()
    assert loops
    assert gated_layer(make_gated(FORMULAS[name]), loops) is None
    assert gated_layer(nn.Linear(8, 8), loops) is None


@needs_loops
@torch.inference_mode()
def test_what_the_loops_cannot_take_is_left_to_the_module() -> None:
    """Products of two shapes, of another type or not contiguous, inputs by name, and a projection that is watched."""
    loops, module = compiled_loops(), make_gated(lambda m, x: m.down_proj(m.act_fn(m.gate_proj(x)) * m.up_proj(x)))
    assert loops
    layer, x = gated_layer(module, loops), torch.randn(3, 64).bfloat16()
    assert layer
    expected = module(x)
    assert torch.equal(layer(x), expected)
    assert torch.equal(layer(x=x), expected)
    seen: list[Any] = []
    module.up_proj.register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(layer(x), expected)
    assert seen
    for change in (lambda y: y[..., :1], lambda y: y.float(), lambda y: y.repeat(1, 2)[:, ::2]):
        other = make_gated(lambda m, x: m.down_proj((m.act_fn(m.gate_proj(x)) * m.up_proj(x)).bfloat16()))
        layer = gated_layer(other, loops) or pytest.fail("it is a gated layer")
        other.up_proj.register_forward_hook(lambda _, __, y, change=change: change(y))
        assert torch.equal(layer(x), other(x))


def make_norm(formula: Formula) -> Any:
    """Make a module that looks like a root mean square normalization and has some formula."""

    class OtherRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.randn(64).bfloat16()), 1e-6

        def forward(self, x: torch.Tensor) -> Any:
            """Compute the formula."""
            return formula(self, x.float()).to(x.dtype)

    return OtherRMSNorm()


def normalize(module: Any, x: torch.Tensor) -> Any:
    """Compute the formula of the loops."""
    return module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.eps)).bfloat16()


NORMS: dict[str, Callable[[Any, Any], Any]] = {
    "around 1": lambda m, x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + m.eps) * (1 + m.weight.float()),
    "another epsilon": lambda m, x: m.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)).bfloat16(),
    "clamped": lambda m, x: (
        m.weight * (x * torch.rsqrt(x.clamp(-60, 60).pow(2).mean(-1, keepdim=True) + m.eps)).bfloat16()
    ),
    "broken": lambda m, x: m.weights * x,
}


@needs_loops
@pytest.mark.parametrize("name", NORMS)
def test_a_normalization_of_another_formula_is_left_alone(name: str) -> None:
    module = make_norm(NORMS[name])
    use_compiled_loops(module)
    assert "forward" not in vars(module)


@needs_loops
def test_a_normalization_with_a_gate_is_left_alone() -> None:
    """Mamba's takes the gate as a second argument."""
    module = make_norm(normalize)
    use_compiled_loops(module)
    assert "forward" in vars(module)
    gated = make_norm(normalize)
    type(gated).forward = lambda self, x, gate=None: normalize(self, x.float()) if gate is None else gate
    use_compiled_loops(gated)
    assert "forward" not in vars(gated)


@needs_loops
def test_a_normalization_gets_no_other_width() -> None:
    module = make_llama(dtype=torch.bfloat16).model.norm
    use_compiled_loops(module)
    assert "forward" in vars(module)
    with pytest.raises(RuntimeError, match="must match"):
        module(torch.zeros(4, 100).bfloat16())


@needs_loops
def test_a_model_can_be_copied() -> None:
    model = make_llama(dtype=torch.bfloat16)
    use_compiled_loops(model)
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(model)(IDS).logits, model(IDS).logits)
