"""What the quantizers of all other packages have in common."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from pytest_qeval.errors import MissingPackageError, RecipeError
from pytest_qeval.quantize.apply import quantize_
from pytest_qeval.quantize.footprint import model_bytes
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.quantization import Quantization
from tests.unit.quantize.models import TOKENS, Pair, distance, logits, make_gpt2, make_llama


class Backend(NamedTuple):
    """A recipe of a backend."""

    recipe: str
    package: str
    extra: str
    module: str


BACKENDS = [
    Backend("bnb:nf4", "bitsandbytes", "bitsandbytes", "bitsandbytes"),
    Backend("bnb:int8", "bitsandbytes", "bitsandbytes", "bitsandbytes"),
    Backend("torch:quantize_dynamic", "torch", "transformers", "torch_dynamic"),
    Backend("torchao:Int8WeightOnlyConfig", "torchao", "torchao", "torchao"),
]


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.recipe)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Return each backend that is installed."""
    found: Backend = request.param
    if find_spec(found.package) is None:
        pytest.skip(f"the {found.extra} extra is not installed")
    return found


def quantize(model: Any, backend: Backend) -> Quantization:
    """Apply a recipe without calibration."""
    return quantize_(model, find_recipe(backend.recipe), show_texts=lambda: pytest.fail("texts are shown"))


def test_the_quantized_model_stays_close(backend: Backend) -> None:
    model = make_llama(intermediate_size=192)
    expected = logits(model)
    quantize(model, backend)
    assert 0 < distance(logits(model), expected) < (0.3 if backend.recipe == "bnb:nf4" else 0.1)


def test_the_footprint_counts_what_is_held(backend: Backend) -> None:
    """Before and after the first use, which moves things inside the layers."""
    model = make_llama(attention_bias=True, intermediate_size=192)
    before = model_bytes(model)
    result = quantize(model, backend)
    after = model_bytes(model)
    with torch.inference_mode():
        model(TOKENS)
    assert model_bytes(model) == after
    assert after == before - result.bytes_before + result.bytes_after


def test_a_tied_head_is_kept(backend: Backend) -> None:
    model = make_llama(tie_word_embeddings=True)
    quantize(model, backend)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert type(model.lm_head.weight) is nn.Parameter


def test_a_layer_with_two_names_is_replaced_at_both(backend: Backend) -> None:
    shared = nn.Linear(64, 64)
    model: Any = Pair(Pair(shared, nn.Identity()), shared)
    result = quantize(model, backend)
    assert model.second is model.first.first
    assert type(model.second) is not nn.Linear or type(model.second.weight) is not nn.Parameter
    assert len(result.layers) == 1


def test_layers_of_gpt_2_are_kept_and_recorded(backend: Backend) -> None:
    """Their weight lies the other way round."""
    model = Pair(Conv1D(64, 32), nn.Linear(64, 64))
    first, second = quantize(model, backend).layers
    assert type(model.first) is Conv1D
    assert (first.kept, first.shape, first.bytes_after) == (True, (64, 32), 4 * 64 * 32)
    assert not second.kept


def test_a_model_of_other_layers_is_refused_with_what_it_has(backend: Backend) -> None:
    with pytest.raises(RecipeError, match=r"GPT2LMHeadModel has none that it does not keep .*4 Conv1D"):
        quantize(make_gpt2(), backend)


def test_a_missing_package_names_the_extra(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"pytest_qeval.quantize.backends.{backend.module}.find_spec", lambda _: None)
    expected = f"recipe '{backend.recipe}' needs the package '{backend.package}': pip install "
    with pytest.raises(MissingPackageError) as refusal:
        find_recipe(backend.recipe)
    assert str(refusal.value) == f"{expected}'pytest-qeval[{backend.extra}]'"


def test_a_recipe_is_checked_without_importing_torch(backend: Backend) -> None:
    code = (
        f"import sys; from pytest_qeval.quantize.lookup import find_recipe; find_recipe({backend.recipe!r}); "
        f"sys.exit(bool({{'torch', {backend.package!r}, 'transformers'}} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
