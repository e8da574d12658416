"""A quantized cache is the same however a text is read: against one that is filled token by token in plain Python."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.cache_utils import DynamicCache

from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.attention import attends_in_packs, use_grouped_attention
from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.forward import CausalBatchModel
from pytest_qeval.engines.hf.invariance import find_batch_dependence, multiply_in_blocks
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.trial import feed
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import RecipeError
from pytest_qeval.measure.divergence import causal_logits, solution_text
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.recipe import CacheScheme
from pytest_qeval.settings import GenerationSettings, ModelSettings

FAMILIES = ["llama", "qwen2", "gpt2", "neox"]
EXAMPLES = "def add(a, b):\n    return a + b\nassert add(1, 2) == 3\n\n"
RESTS = ("def f(x):\n    return x\nassert f(7) == ", "x", "print('größer')\nprint('größer')\nprint(")
REQUESTS = [
    *(Request(key=str(at), prompt=EXAMPLES + rest, shared=EXAMPLES) for at, rest in enumerate(RESTS)),
    Request(key="alone", prompt="for i in range(10):\n    total += i\nfor i in"),
]
NEW_TOKENS = 20


def rounded_by_hand(values: Sequence[float], bits: int) -> list[float]:
    """Round one vector by the formulas of docs/kv-cache.md, one number after the other."""
    if bits == 8:
        scale = max(map(abs, values)) / 127
        return [round(value / scale) * scale if scale else 0.0 for value in values]
    low = float(torch.tensor(min(values)).half())
    scale = float(torch.tensor((max(values) - low) / 15).half())
    return [min(15, max(0, round((value - low) / scale))) * scale + low if scale > 0 else low for value in values]


class ByHand(DynamicCache):  # type: ignore[misc] # transformers is untyped here
    """Rounds each token's vectors as they are written, the token's own included."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._bits = bits

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
        """Round the one token, and append it."""
        assert keys.shape[:3:2] == (1, 1)
        new = [
            torch.tensor([[[rounded_by_hand(head[0], self._bits)] for head in one[0].tolist()]], dtype=one.dtype)
            for one in (keys, values)
        ]
        return super().update(*new, layer_idx, *args, **kwargs)


@torch.inference_mode()
def naive_logits(model: Any, ids: Sequence[int], bits: int | None) -> torch.Tensor:
    """Feed one token after the other: logits [tokens, vocabulary]; without bits, the cache is not quantized."""
    cache = ByHand(bits) if bits else DynamicCache()
    return torch.cat([model(torch.tensor([[one]]), past_key_values=cache, use_cache=True).logits[0] for one in ids])


@pytest.fixture
def models(make_model: Callable[[str], Any]) -> Callable[[str, str], tuple[Any, Any]]:
    """Make a model with an attention of transformers, and the same with the one that the engine gives it."""

    def make(family: str, attention: str) -> tuple[Any, Any]:
        plain = copy.deepcopy(make_model(family))
        plain.set_attn_implementation("eager" if attention == "eager" else "sdpa")
        ours = copy.deepcopy(plain)
        use_grouped_attention(ours)
        multiply_in_blocks(ours)
        return plain, ours

    return make


def ids_of(count: int) -> list[int]:
    return [(31 * at + 7) % 320 for at in range(count)]


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("attention", ["packed", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_way_to_read_a_text_gives_the_logits_of_one_token_after_the_other(
    family: str, attention: str, bits: int, models: Callable[[str, str], tuple[Any, Any]]
) -> None:
    """Prompts packed or padded, behind a shared beginning or not, a plain step, one with drafts; and teacher-forced."""
    plain, ours = models(family, attention)
    assert attends_in_packs(ours) == (attention == "packed")
    scheme, steps = CacheScheme(bits=bits), (1, 4)
    sequences, shared = [ids_of(40), ids_of(11), ids_of(33)], [20, 0, 20]
    wanted = [naive_logits(plain, ids, bits) for ids in sequences]
    batch = CausalBatchModel(ours, rows=3, scheme=scheme)
    for own, logits in zip(wanted, feed(batch, sequences, steps=steps, shared=shared), strict=True):
        torch.testing.assert_close(logits, own[-len(logits) :], rtol=1e-3, atol=1e-3)
    language_model = LanguageModel(model=ours, tokenizer=None, eos_ids=(), cache_scheme=scheme)
    scored = causal_logits(ours, language_model.new_cache)
    for own, ids in zip(wanted, sequences, strict=True):
        torch.testing.assert_close(scored(solution_text(ids[:5], ids[5:])), own[4:-1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_that_comparison_sees_a_cache_that_is_not_quantized(
    family: str, models: Callable[[str, str], tuple[Any, Any]]
) -> None:
    """By far more than its tolerance, at 8 bits too."""
    plain, _ = models(family, "eager")
    exact, *rounded = (naive_logits(plain, ids_of(40), bits) for bits in (None, 8, 4))
    errors = [float((one - exact).abs().max()) for one in rounded]
    assert 0.01 < errors[0] < errors[1]


def completed(model: Any, tokenizer: Any, *, rows: int, group: int, bits: int = 4, first: int = 0) -> dict[str, str]:
    language_model = LanguageModel(
        model=model, tokenizer=tokenizer, eos_ids=(tokenizer.eos_token_id,), cache_scheme=CacheScheme(bits=bits)
    )
    shape = BatchShape(rows=rows, group_prompts=group)
    batch = ContinuousBatch(language_model, GenerationSettings(max_new_tokens=NEW_TOKENS), shape=shape)
    batch.submit([*REQUESTS[first:], *REQUESTS[:first]])
    found: dict[str, str] = {}
    while batch.progress.finished < batch.progress.total:
        found.update({one.key: one.completion.text for one in require_finished(batch.step())})
    return found


def completed_by_hand(model: Any, tokenizer: Any, prompt: str) -> str:
    """Decode greedily with a cache that is rounded by hand."""
    ids, cache = tokenizer(prompt).input_ids, ByHand(4)
    new: list[int] = []
    for at in range(len(ids) + NEW_TOKENS - 1):
        fed = ids[at] if at < len(ids) else new[-1]
        with torch.inference_mode():
            logits = model(torch.tensor([[fed]]), past_key_values=cache, use_cache=True).logits[0, -1]
        if at >= len(ids) - 1:
            new.append(int(logits.argmax()))
            if new[-1] == tokenizer.eos_token_id:
                return str(tokenizer.decode(new[:-1], skip_special_tokens=True))
    return str(tokenizer.decode(new, skip_special_tokens=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_completions_are_those_of_decoding_by_hand_in_every_batch(
    family: str, models: Callable[[str, str], tuple[Any, Any]], tokenizer: Any
) -> None:
    """One row or several, groups of any size, any order; rows repeat themselves, so that drafts are made."""
    plain, ours = models(family, "packed")
    wanted = {one.key: completed_by_hand(plain, tokenizer, one.prompt) for one in REQUESTS}
    for rows, group, first in ((1, 1, 0), (2, 2, 3), (4, 3, 1), (4, 8, 2)):
        assert completed(ours, tokenizer, rows=rows, group=group, first=first) == wanted


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_quantized_cache_leaves_rows_independent(
    dtype: torch.dtype, bits: int, models: Callable[[str, str], tuple[Any, Any]]
) -> None:
    """Bit by bit, by the very check that the report relies on."""
    model = models("qwen2", "packed")[1].to(dtype)
    language_model = LanguageModel(model=model, tokenizer=None, eos_ids=(), cache_scheme=CacheScheme(bits=bits))
    assert find_batch_dependence(language_model, find_recipe("auto")) == ""


@pytest.fixture
def save(make_model: Callable[[str], Any], tokenizer: Any, tmp_path: Path) -> Callable[[str], Path]:
    """Save a tiny model of a family, as a hub download would lie on disk."""

    def write(family: str) -> Path:
        make_model(family).save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return tmp_path / family

    return write


def open_engine(path: Path, recipe: str) -> TransformersEngine:
    settings = ModelSettings(name=str(path), device="cpu", batch_size=2)
    generation = GenerationSettings(max_new_tokens=6)
    return TransformersEngine(
        source=resolve(settings), recipe=find_recipe(recipe), model=settings, generation=generation
    )


@pytest.mark.parametrize(
    ("recipe", "scheme", "packed", "layers"),
    [("auto+kv8", "KV8", 8 + 4, 0), ("auto+kv4", "KV4", 4 + 4, 0), ("int8+kv8", "W8A8 KV8", 8 + 4, 14)],
)
def test_the_engine_says_what_became_of_the_cache(
    recipe: str, scheme: str, packed: int, layers: int, save: Callable[[str], Path]
) -> None:
    """Simulated whatever the weights are; bytes of 2 layers, keys and values, 2 heads of 8 channels, with scales."""
    facts = open_engine(save("llama"), recipe).facts()
    assert (facts["scheme"], facts["execution"], facts["quantized_layers"]) == (scheme, "simulated", layers)
    assert facts["cache"] == {
        "bits": int(recipe[-1]),
        "granularity": "per_token_head",
        "symmetric": recipe.endswith("8"),
        "execution": "simulated",
        "token_bytes": 2 * 2 * 2 * packed,
        "held_token_bytes": 2 * 2 * 2 * 8 * 4,
    }
    assert facts["notes"][-1].startswith(f"key/value cache of {recipe[-1]} bits simulated: rounded as it is written")


def test_scores_and_timings_of_the_engine_use_the_quantized_cache(save: Callable[[str], Path]) -> None:
    """Scores differ from those in floating point; and a stream can be timed."""
    path = save("llama")
    solutions = [("t", "def add(a, b):\n", "    return a + b\n")]
    exact, rounded = (open_engine(path, recipe) for recipe in ("auto", "auto+kv4"))
    ours, theirs = (one.score(solutions).texts["t"].reference_log_probs for one in (exact, rounded))
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > 0.01
    timer = rounded.prepare(Workload(kind="decode", prompt_tokens=8, new_tokens=3, batch=1))
    assert len(timer()) == len(timer()) == 3


def test_a_model_that_generate_decodes_is_refused_once_it_is_known(save: Callable[[str], Path]) -> None:
    """A run refuses it by its config, before anything is loaded."""
    with pytest.raises(RecipeError, match=r"auto\+kv8: the key/value cache of .* \(sliding-window attention\)"):
        open_engine(save("mistral"), "auto+kv8")
