"""Calibration observes the tokens that the model reads and generates, every token once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, OPTConfig

from pytest_qeval.engines.hf import calibration as calibrating
from pytest_qeval.engines.hf.calibration import ActivationObserver, Calibration, CalibrationRun
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.loading import load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import EngineError, RecipeError
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.kernels.activations import StaticRange
from pytest_qeval.quantize.kernels.clip import clip_histogram
from pytest_qeval.quantize.kernels.observers import Histogram
from pytest_qeval.quantize.layers import LayerPlan, find_linear_layers
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.quantize.recipe import CalibrationPlan, Recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

TEXTS = (
    "def add(a, b):\n    return a + b\n",
    "class Point:\n    pass\n",
    "if x:\n    print('größer als 日本語 🎉')\n",
    "for i in range(10):\n    total += i\n    other = total * 2\n",
    "x",
)
NEW_TOKENS = 6
MINMAX = find_recipe("w8a8-static-n4")
MSE_ASYMMETRIC = find_recipe("w8a8-static-mse-asym-n4")

Make = Callable[[str], Any]


def texts_of(texts: Sequence[str]) -> CalibrationTexts:
    return CalibrationTexts(texts=tuple(texts), source="test", sha256="abc", seed=3)


def language_model(model: Any, tokenizer: Any, fallback_reason: str = "") -> LanguageModel:
    eos_ids = (tokenizer.eos_token_id,)
    return LanguageModel(model=model, tokenizer=tokenizer, eos_ids=eos_ids, fallback_reason=fallback_reason)


def run_texts(
    model: Any,
    tokenizer: Any,
    observer: ActivationObserver | None,
    *,
    texts: Sequence[str] = TEXTS,
    new_tokens: int = NEW_TOKENS,
    fallback_reason: str = "",
) -> CalibrationRun:
    """Run a model over texts and its continuations."""
    plan = CalibrationPlan(samples=len(texts), new_tokens=new_tokens)
    run = CalibrationRun(language_model(model, tokenizer, fallback_reason), texts_of(texts), plan)
    run.run(observer)
    return run


def calibrate(model: Any, tokenizer: Any, recipe: Recipe, **options: Any) -> dict[str, StaticRange]:
    observer = ActivationObserver(model, recipe)
    run_texts(model, tokenizer, observer, **options)
    return observer.ranges()


def sequences_of(model: Any, tokenizer: Any) -> list[torch.Tensor]:
    """Let transformers continue every text by itself, and encode text and continuation."""
    sequences = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids
        out = model.generate(ids, do_sample=False, max_new_tokens=NEW_TOKENS)[0, ids.shape[1] :]
        whole = text + tokenizer.decode(out, skip_special_tokens=True)
        sequences.append(tokenizer(whole, return_tensors="pt").input_ids)
    return sequences


def one_by_one(model: Any, sequences: Sequence[torch.Tensor]) -> dict[str, Histogram]:
    """Observe every layer on sequences that are neither batched nor padded."""
    histograms: dict[str, Histogram] = {}
    hooks = []

    def hook(place: LayerPlan) -> Any:
        histogram = histograms.setdefault(place.name, Histogram())
        return place.module(model).register_forward_pre_hook(lambda _, inputs: histogram.add(inputs[0]))

    hooks = [hook(place) for place in find_linear_layers(model)]
    with torch.inference_mode():
        for ids in sequences:
            model(input_ids=ids, use_cache=False)
    for handle in hooks:
        handle.remove()
    return histograms


@pytest.fixture
def histograms(monkeypatch: pytest.MonkeyPatch) -> list[Histogram]:
    """Return the histograms that are filled, however many layers share one."""
    made: list[Histogram] = []

    class Listed(Histogram):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(calibrating, "Histogram", Listed)
    return made


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "neox"])
def test_texts_and_continuations_are_counted_and_padding_is_not(
    make_model: Make, tokenizer: Any, histograms: list[Histogram], family: str
) -> None:
    """As many values in padded batches as one by one, for inputs of every width."""
    model = make_model(family)
    observer = ActivationObserver(model, MINMAX)
    run = run_texts(model, tokenizer, observer)
    sequences = sequences_of(model, tokenizer)
    assert len({ids.shape[1] for ids in sequences}) > 1
    assert run.tokens == sum(ids.shape[1] for ids in sequences)
    expected = one_by_one(model, sequences)
    assert {found.n_values for found in histograms} == {expected[name].n_values for name in observer.ranges()}


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "neox"])
@pytest.mark.parametrize("percentile", [60, 99, 100])
def test_ranges_are_those_of_unpadded_texts(make_model: Make, tokenizer: Any, family: str, percentile: int) -> None:
    """A percentile bound is that of a layer's inputs when nothing is batched."""
    model = make_model(family)
    ranges = calibrate(model, tokenizer, find_recipe(f"w8a8-static-p{percentile}-n4"))
    expected = one_by_one(model, sequences_of(model, tokenizer))
    for name, static in ranges.items():
        bound = clip_histogram(expected[name], bits=8, clip="percentile", percentile=percentile)
        assert static.high == pytest.approx(bound, abs=2 * expected[name].width)


def test_more_is_seen_than_the_texts(make_model: Make, tokenizer: Any) -> None:
    """The generated tokens are a part of it."""
    model = make_model("llama")
    seen = [run_texts(model, tokenizer, ActivationObserver(model, MINMAX), new_tokens=n).tokens for n in (1, 8)]
    alone = sum(len(ids) for ids in tokenizer(list(TEXTS)).input_ids)
    assert alone < seen[0] < seen[1]


def test_a_layer_that_gets_all_rows_in_one_sees_no_padding(tokenizer: Any, histograms: list[Histogram]) -> None:
    """Some models flatten batch and position before a layer."""
    config = OPTConfig(
        vocab_size=len(tokenizer), hidden_size=32, ffn_dim=64, num_hidden_layers=1, num_attention_heads=4,
        word_embed_proj_dim=32, max_position_embeddings=128, eos_token_id=tokenizer.eos_token_id, init_std=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(requires_grad=False)
    run = run_texts(model, tokenizer, ActivationObserver(model, MINMAX))
    assert {found.n_values for found in histograms} == {32 * run.tokens, 64 * run.tokens}


def test_a_model_without_the_continuous_batch_is_observed_while_it_generates(make_model: Make, tokenizer: Any) -> None:
    """Prompt and generated tokens again, by `generate`; its ranges are nearly the same."""
    model = make_model("llama")
    ours, theirs = (calibrate(model, tokenizer, MINMAX, fallback_reason=reason) for reason in ("", "test"))
    assert {name: one.high for name, one in theirs.items()} == pytest.approx(
        {name: one.high for name, one in ours.items()}, rel=0.3
    )


def test_tokens_are_those_that_were_observed(make_model: Make, tokenizer: Any, histograms: list[Histogram]) -> None:
    """A model is not run on the last token that it generates."""
    model = make_model("llama")
    run = run_texts(model, tokenizer, ActivationObserver(model, MINMAX), fallback_reason="test")
    assert {found.n_values for found in histograms} == {32 * run.tokens, 64 * run.tokens}


def test_layers_of_one_input_have_one_range(make_model: Make, tokenizer: Any) -> None:
    """Seven layers in a block, and four inputs: siblings are fed the same integers."""
    ranges = calibrate(make_model("llama"), tokenizer, MINMAX)
    assert len(ranges) == 2 * 7
    for block in (0, 1):
        prefix = f"model.layers.{block}"
        attention = {ranges[f"{prefix}.self_attn.{name}_proj"] for name in "qkv"}
        assert len(attention) == 1
        assert ranges[f"{prefix}.mlp.gate_proj"] == ranges[f"{prefix}.mlp.up_proj"] != ranges[f"{prefix}.mlp.down_proj"]
        assert ranges[f"{prefix}.self_attn.o_proj"] not in attention


def test_only_static_layers_are_observed(make_model: Make, tokenizer: Any) -> None:
    """No layer of a dynamic recipe, and not the output layer that is kept."""
    model = make_model("llama")
    assert calibrate(model, tokenizer, find_recipe("int8")) == {}
    assert "lm_head" not in calibrate(model, tokenizer, MINMAX)
    assert "lm_head" in calibrate(model, tokenizer, find_recipe("w8a8-static-n4+lm_head"))


def test_symmetric_ranges_have_zero_in_the_middle(make_model: Make, tokenizer: Any) -> None:
    """And those of an asymmetric scheme reach as far as values do on either side, unless they are clipped."""
    model = make_model("llama")
    for static in calibrate(model, tokenizer, MINMAX).values():
        assert static.low == -static.high < 0
    ranges = calibrate(model, tokenizer, MSE_ASYMMETRIC)
    assert all(static.low <= 0 <= static.high for static in ranges.values())
    assert any(static.low != -static.high for static in ranges.values())


def test_more_texts_never_lower_what_minmax_covers(make_model: Make, tokenizer: Any) -> None:
    """Every text that is added can only add values."""
    model = make_model("llama")
    before: Mapping[str, StaticRange] = {}
    for n in range(1, len(TEXTS) + 1):
        ranges = calibrate(model, tokenizer, MINMAX, texts=TEXTS[:n])
        assert all(ranges[name].high >= old.high * (1 - 1e-4) for name, old in before.items())
        before = ranges


def test_the_order_of_texts_does_not_matter(make_model: Make, tokenizer: Any) -> None:
    """They are grouped by length anyway."""
    model = make_model("llama")
    there, back = (calibrate(model, tokenizer, MINMAX, texts=texts) for texts in (TEXTS, TEXTS[::-1]))
    assert {name: one.high for name, one in back.items()} == pytest.approx(
        {name: one.high for name, one in there.items()}, rel=1e-4
    )


@pytest.mark.parametrize("fallback_reason", ["", "test"], ids=["continuous", "generate"])
def test_a_weight_that_is_not_finite_is_refused_with_the_layer(
    make_model: Make, tokenizer: Any, fallback_reason: str
) -> None:
    """The message names the first layer whose input is not finite, and no hook stays behind."""
    model = make_model("llama")
    others = hooks_of(model)
    weight = model.model.layers[1].mlp.up_proj.weight.data
    before = weight[3, 4].item()
    weight[3, 4] = float("nan")
    try:
        with pytest.raises(EngineError, match=r"^layer model\.layers\.1\.mlp\.down_proj: activations are not finite"):
            calibrate(model, tokenizer, MINMAX, fallback_reason=fallback_reason)
    finally:
        weight[3, 4] = before
    assert hooks_of(model) == others


def hooks_of(model: Any) -> list[int]:
    """Return the ids of a model's hooks; tests that share it and interrupt an engine may leave idle ones behind."""
    return [number for module in model.modules() for number in module._forward_pre_hooks]


def test_a_layer_that_is_never_reached_is_refused(make_model: Make, tokenizer: Any) -> None:
    """By name, with two ways out."""
    model = make_model("llama")
    model.extra = nn.Linear(4, 4)
    try:
        with pytest.raises(RecipeError, match=r"^calibration never reached extra: keep .*dynamic activations\.$"):
            calibrate(model, tokenizer, MINMAX)
    finally:
        del model.extra


def test_texts_run_one_by_one_without_an_observer(make_model: Make, tokenizer: Any) -> None:
    """Quantizers of other packages have observers of their own, and know nothing of padding."""
    model = make_model("llama")
    shapes: list[tuple[int, ...]] = []
    plan = CalibrationPlan(samples=len(TEXTS), new_tokens=NEW_TOKENS)
    run = CalibrationRun(language_model(model, tokenizer), texts_of(TEXTS), plan)
    hook = model.model.layers[0].mlp.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape[:-1]))
    run.run()
    hook.remove()
    assert [rows for rows, _ in shapes] == [1] * len(TEXTS)
    assert sum(tokens for _, tokens in shapes) == run.tokens


def test_the_record_names_texts_and_tokens(make_model: Make, tokenizer: Any) -> None:
    """Source, digest and seed of the texts, how many, and how many tokens."""
    model = make_model("llama")
    observer = ActivationObserver(model, MINMAX)
    run = run_texts(model, tokenizer, observer)
    ranges = observer.ranges()
    found = run.calibration(ranges)
    assert found.duration_s > 0
    assert found == Calibration(
        ranges=ranges,
        source="test",
        texts_sha256="abc",
        seed=3,
        samples=len(TEXTS),
        tokens=run.tokens,
        duration_s=found.duration_s,
    )


def test_a_text_longer_than_the_context_does_not_end_the_run(make_model: Make, tokenizer: Any) -> None:
    """It is cut, or refused in one sentence: there are no positions for more."""
    model = make_model("gpt2")
    observer = ActivationObserver(model, MINMAX)
    try:
        run = run_texts(model, tokenizer, observer, texts=[TEXTS[3] * 30])
    except (EngineError, RecipeError):
        return
    assert run.tokens <= 128


@pytest.mark.parametrize(("samples", "noted"), [(1, True), (2, False)])
def test_one_text_alone_is_noted(samples: int, *, noted: bool) -> None:
    """The report notes that its static scales are a guess."""
    model = ModelSettings(name="demo", device="cpu")
    engine = TransformersEngine(
        source=resolve(model),
        recipe=find_recipe(f"w8a8-static-n{samples}"),
        model=model,
        generation=GenerationSettings(max_new_tokens=4),
        texts=texts_of(TEXTS[:samples]),
    )
    notes = engine.facts()["notes"]
    engine.close()
    assert ("calibrated on a single text: static scales are a guess" in notes) == noted


def test_static_completions_do_not_depend_on_neighbours() -> None:
    """Calibrated scales are fixed: the logits of a row are the same alone and beside others."""
    source = resolve(ModelSettings(name="demo"))
    model = load(source, find_recipe("w8a8-static-n2"), device="cpu", texts=texts_of(TEXTS[:2])).model
    tokens = torch.arange(40).mul(37).remainder(250).reshape(2, 20) + 2
    with torch.inference_mode():
        both = model(input_ids=tokens).logits
        alone = model(input_ids=tokens[1:]).logits
    torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-3)
