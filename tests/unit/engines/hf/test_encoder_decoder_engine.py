"""The engine with an encoder-decoder: a directory and a recipe in, completions, scores, times and facts out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.encoder_decoder import encoder_decoder_of
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.scoring import score
from pytest_qeval.engines.hf.sensitivity import measure_sensitivity
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.divergence_facts import divergence_facts
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.quantize.builtin import AUTO
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings
from tests.unit.tiny_seq2seq import CONTEXT, FAMILIES, make_tiny, save_tiny

SOLUTIONS = [("a", "def add(a, b):\n", "    return a + b\n"), ("b", "class Point:\n", "    pass\n")]
TEXTS = CalibrationTexts(
    source="test", texts=tuple(text for _, *pair in SOLUTIONS for text in pair), sha256="0", seed=0
)


def open_engine(path: Path, name: str = "auto", export: Path | None = None) -> TransformersEngine:
    settings = ModelSettings(name=str(path), device="cpu", threads=1)
    recipe = find_recipe(name)
    return TransformersEngine(
        source=resolve(settings),
        recipe=recipe,
        model=settings,
        generation=GenerationSettings(max_new_tokens=8),
        texts=TEXTS if recipe.calibration else None,
        export=export,
    )


def completions(engine: TransformersEngine) -> list[str]:
    engine.submit([Request(key=key, prompt=prompt) for key, prompt, _ in SOLUTIONS])
    found = {}
    while engine.progress.finished < engine.progress.total:
        found.update({one.key: one.completion.text for one in require_finished(engine.step())})
    return [found[key] for key, *_ in SOLUTIONS]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_loaded_with_its_head_and_completes_prompts(family: str, tmp_path: Path) -> None:
    engine = open_engine(save_tiny(family, tmp_path))
    facts = engine.facts()
    assert (facts["architecture"], facts["decoding"]) == ("encoder-decoder", "continuous batch")
    assert facts["parameters"] == sum(one.numel() for one in make_tiny(family).model.parameters())
    assert len(completions(engine)) == len(SOLUTIONS)
    for batch in (1, 3):
        run = engine.prepare(Workload(kind="decode", prompt_tokens=9, new_tokens=4, batch=batch))
        assert [len(run()), len(run())] == [4, 4]
    assert len(engine.prepare(Workload(kind="prefill", prompt_tokens=9))()) == 1
    engine.close()


@pytest.mark.parametrize("name", ["int8", "w4a16-g32", "w8a8-static-mse", "bf16"])
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_recipes_keep_the_head_that_is_tied_to_the_embeddings(family: str, name: str, tmp_path: Path) -> None:
    """All other layers of encoder and decoder are quantized, calibrated on the inputs of both."""
    engine = open_engine(save_tiny(family, tmp_path), name)
    facts = engine.facts()
    layers = {layer["name"]: layer["kept"] for layer in facts["layers"]}
    assert [layer for layer, kept in layers.items() if kept] == (["lm_head"] if name != "bf16" else [])
    assert bool(facts["calibration"]) == (name == "w8a8-static-mse")
    assert len(completions(engine)) == len(SOLUTIONS)
    scores = engine.score(SOLUTIONS, against=score(*make_tiny(family), SOLUTIONS))
    assert not scores.incomparable
    engine.close()


@pytest.mark.parametrize("family", ["t5", "bart", "plbart"])
@pytest.mark.parametrize("name", ["int8", "w8a8-static-mse", "w4a16-g32"])
def test_an_export_gives_the_same_scores_again(family: str, name: str, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    engine = open_engine(save_tiny(family, tmp_path / "model"), name, exported)
    again = open_engine(exported, "auto")
    assert again.score(SOLUTIONS).texts == engine.score(SOLUTIONS).texts
    assert completions(again) == completions(engine)


@pytest.mark.parametrize("family", FAMILIES)
def test_solutions_are_scored_as_the_model_was_trained(family: str) -> None:
    """The labels' own loss in transformers is that of the tokens which count, the decoder's start before them."""
    model, tokenizer = make_tiny(family)
    prompt, solution = SOLUTIONS[0][1:]
    found = encoder_decoder_of(model, tokenizer)
    assert found is not None
    text = found.tokenize_solution(tokenizer, prompt, solution)
    counted = [token for token, counts in zip(text.token_ids, text.counted, strict=True) if counts]
    assert tokenizer.decode(counted) == tokenizer.decode(tokenizer(solution, add_special_tokens=False).input_ids)
    ids = torch.tensor([text.token_ids])
    logits = model(input_ids=torch.tensor([text.source_ids]), decoder_input_ids=ids).logits[0].log_softmax(-1)
    wanted = [logits[at, ids[0, at + 1]].item() for at in text.positions]
    assert score(model, tokenizer, SOLUTIONS).texts["a"].reference_log_probs == pytest.approx(wanted, abs=1e-4)


def test_divergence_from_itself_is_none() -> None:
    ours = score(*make_tiny("t5"), SOLUTIONS)
    theirs = score(*make_tiny("t5"), SOLUTIONS, against=ours)
    facts = divergence_facts(ours, theirs, recipe="c", baseline_recipe="b", benchmark="")
    assert sum(problem.kl for problem in facts.problems) == pytest.approx(0, abs=1e-4)
    other = score(*make_tiny("t5"), [("a", "another prompt", SOLUTIONS[0][2])], against=ours)
    assert other.incomparable == ("a",), "the encoder's text counts as much as the decoder's"


def test_a_prompt_beyond_the_encoder_is_incomparable() -> None:
    assert score(*make_tiny("bart"), [("a", "0" * CONTEXT, "x")]).incomparable == ("a",)


def test_a_stream_beyond_the_positions_is_refused(tmp_path: Path) -> None:
    engine = open_engine(save_tiny("bart", tmp_path))
    with pytest.raises(EngineError, match=r"do not fit in the 64 positions of the model's encoder and the 62"):
        engine.prepare(Workload(kind="decode", prompt_tokens=CONTEXT + 1, new_tokens=2))


@pytest.mark.parametrize("name", ["int8", "w8a8-static-mse"])
def test_blocks_of_both_sides_are_ranked(name: str, tmp_path: Path) -> None:
    source = resolve(ModelSettings(name=str(save_tiny("t5", tmp_path))))
    recipe = find_recipe(name)
    pairs = [(prompt, solution) for _, prompt, solution in SOLUTIONS]
    texts = TEXTS if recipe.calibration else None
    facts = measure_sensitivity(source, recipe, pairs, device="cpu", threads=1, texts=texts)
    blocks: dict[str, Any] = {block.name: block.kl for block in facts.blocks}
    assert sorted(blocks) == ["decoder.block.0", "decoder.block.1", "encoder.block.0", "encoder.block.1"]
    assert all(kl > 0 for kl in blocks.values())


def test_float16_of_t5_is_noted(tmp_path: Path) -> None:
    """Its activations overflow there; BART's do not."""
    for family, noted in (("t5", True), ("bart", False)):
        model = make_tiny(family).model
        directory = tmp_path / family
        save_tiny(family, directory)
        type(model).from_pretrained(directory, dtype=torch.float16).save_pretrained(directory)
        engine = open_engine(directory, AUTO.name)
        assert any("float16" in note for note in engine.facts()["notes"]) == noted
