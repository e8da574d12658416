"""Models with an encoder complete prompts in the continuous batch as they do one at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, LEDConfig

from pytest_qeval.engines.base import FinishedCompletion, Request, require_finished
from pytest_qeval.engines.hf.aligned_cache import AlignedCache
from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.cache import Prefilled
from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.drafts import Drafts
from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder, encoder_decoder_of
from pytest_qeval.engines.hf.generate import GenerateQueue
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import PendingSample, Row
from pytest_qeval.engines.hf.trial import find_fallback_reason
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.schema import Completion
from pytest_qeval.settings import GenerationSettings
from tests.unit.tiny_seq2seq import CONTEXT, FAMILIES, make_tiny

Results = dict[tuple[str, int], Completion]
GREEDY = GenerationSettings(max_new_tokens=24)
SAMPLED = GenerationSettings(max_new_tokens=16, temperature=0.8, top_p=0.9, seed=3)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: tiny matrices need no more, and waiting for others takes longer than the tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def prompts(count: int, seed: int = 0) -> list[str]:
    """Make prompts of very different lengths."""
    rng = random.Random(seed)  # noqa: S311
    words = ["def add", "(a, b)", ":\n    ", "return ", "größer", "Point", "x", " + 1", "print("]
    return ["".join(rng.choices(words, k=rng.randint(1, 9))) for _ in range(count)]


def requests_for(texts: Sequence[str], **fields: Any) -> list[Request]:
    return [Request(key=f"r{at}", prompt=text, **fields) for at, text in enumerate(texts)]


def described(family: str) -> EncoderDecoder:
    found = encoder_decoder_of(*make_tiny(family))
    assert found is not None
    return found


def language_model(family: str) -> LanguageModel:
    model, tokenizer = make_tiny(family)
    eos_ids = (tokenizer.eos_token_id,)
    return LanguageModel(model=model, tokenizer=tokenizer, eos_ids=eos_ids, encoder_decoder=described(family))


def batch(family: str, generation: GenerationSettings = GREEDY, *, rows: int = 4, group: int = 3) -> ContinuousBatch:
    shape = BatchShape(rows=rows, group_prompts=group, group_tokens=200)
    return ContinuousBatch(language_model(family), generation, shape=shape)


def generate_queue(family: str, generation: GenerationSettings = GREEDY) -> GenerateQueue:
    return GenerateQueue(language_model(family), generation, rows=3)


def run(decoder: Decoder, requests: Sequence[Request] = ()) -> Results:
    """Submit and step until everything is finished."""
    decoder.submit(requests)
    results: Results = {}
    while decoder.progress.finished < decoder.progress.total:
        collect(results, require_finished(decoder.step()))
    return results


def collect(results: Results, finished: Sequence[FinishedCompletion]) -> None:
    for one in finished:
        assert (one.key, one.index) not in results, "handed out twice"
        results[one.key, one.index] = one.completion


def texts_of(results: Results) -> dict[tuple[str, int], str]:
    return {name: one.text for name, one in results.items()}


@cache
def generated_alone(family: str, prompt: str, new_tokens: int = 24) -> tuple[int, ...]:
    """Return the tokens that plain `generate` makes of one prompt, the end-of-sequence token included."""
    model, tokenizer = make_tiny(family)
    ids, start = torch.tensor([tokenizer(prompt).input_ids]), torch.tensor([described(family).start])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        decoder_input_ids=start,
        decoder_start_token_id=int(start[0, 0]),
        max_new_tokens=new_tokens,
        do_sample=False,
    )
    return tuple(map(int, out[0, start.shape[1] :]))


def decoded(family: str, ids: Sequence[int]) -> str:
    tokenizer = make_tiny(family).tokenizer
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_completions_equal_generate_one_by_one(family: str, rows: int) -> None:
    """Whatever the batch width and whoever the neighbours are, and with our attention in transformers' place."""
    model, texts = make_tiny(family).model, prompts(9)
    use_grouped_attention(model)
    results = run(batch(family, rows=rows), requests_for(texts))
    for at, text in enumerate(texts):
        ids = generated_alone(family, text)
        assert results[f"r{at}", 0].text == decoded(family, ids)
        assert results[f"r{at}", 0].n_tokens == len(ids)
        ended = ids[-1] == make_tiny(family).tokenizer.eos_token_id
        assert results[f"r{at}", 0].finish_reason == ("eos" if ended else "length")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_fall_back_equals_generate_one_by_one(family: str) -> None:
    """With prompts of different lengths, padded on the side that an encoder does not count from."""
    texts = prompts(7)
    results = run(generate_queue(family), requests_for(texts))
    for at, text in enumerate(texts):
        ids = generated_alone(family, text)
        assert (results[f"r{at}", 0].text, results[f"r{at}", 0].n_tokens) == (decoded(family, ids), len(ids))


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("seed", range(4))
def test_any_pattern_of_joining_and_leaving_gives_the_same(seed: int, family: str) -> None:
    """Requests that are submitted while others are being decoded change nobody's completion."""
    rng = random.Random(seed)  # noqa: S311
    requests = requests_for(prompts(12, seed=seed), stops=("a",))
    alone = run(batch(family, rows=1), requests)
    decoder, together, waiting = batch(family, rows=rng.randint(2, 6)), Results(), list(requests)
    while waiting or decoder.progress.finished < decoder.progress.total:
        count = rng.choice([0, 0, 0, 1, 3])
        decoder.submit(waiting[:count])
        del waiting[:count]
        collect(together, require_finished(decoder.step()))
    assert texts_of(together) == texts_of(alone)


@pytest.mark.parametrize("family", ["bart", "plbart"])
@pytest.mark.parametrize("kind", ["continuous", "generate"])
def test_stop_strings_end_the_text_before_them(kind: str, family: str) -> None:
    """Every substring of what would be generated works as a stop, wherever token borders fall."""
    whole = decoded(family, generated_alone(family, "def add"))
    stops = [whole[at : at + length] for at in range(2, len(whole) - 3, 3) for length in (1, 3)]
    stops = [stop for stop in stops if stop.strip() and "\ufffd" not in stop]
    assert len(stops) > 3, "the random model generates too little text for this test"
    decoder = batch(family) if kind == "continuous" else generate_queue(family)
    results = run(decoder, [Request(key=str(at), prompt="def add", stops=(stop,)) for at, stop in enumerate(stops)])
    for at, stop in enumerate(stops):
        assert results[str(at), 0].text == whole[: whole.index(stop)], repr(stop)
        assert results[str(at), 0].finish_reason == "stop"


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_share_one_encoding_of_the_prompt(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder runs once however many samples there are, also when they do not all fit in the batch."""
    tiny = make_tiny(family)
    encode = Mock(wraps=tiny.model.get_encoder().forward)
    monkeypatch.setattr(tiny.model.get_encoder(), "forward", encode)
    decoder = batch(family, SAMPLED, rows=3)
    results = run(decoder, requests_for(["def add(a"], n_samples=7))
    assert encode.call_count == 1
    assert decoder.progress.prompt_tokens == len(tiny.tokenizer("def add(a").input_ids)
    assert sorted(results) == [("r0", index) for index in range(7)]
    assert len(set(texts_of(results).values())) > 1, "samples differ"


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_samples_depend_on_the_seed_only(family: str) -> None:
    """Not on the batch width, the neighbours, or the way of decoding."""
    mine = Request(key="mine", prompt="def add(", n_samples=3, seed=7)
    others = requests_for(prompts(4), n_samples=2)
    alone = run(batch(family, SAMPLED, rows=1), [mine])
    for decoder in (batch(family, SAMPLED, rows=5), generate_queue(family, SAMPLED)):
        results = run(decoder, [*others[:2], mine, *others[2:]])
        assert {name: text for name, text in texts_of(results).items() if name in alone} == texts_of(alone)
    reseeded = run(batch(family, SAMPLED), [Request(key="mine", prompt="def add(", n_samples=3, seed=8)])
    assert texts_of(reseeded) != texts_of(alone)


@pytest.mark.parametrize("where", ["prefill", "advance", "append", "finish", "place"])
def test_an_exception_in_mid_step_loses_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in flight are generated afresh, finished ones are handed out once."""
    requests = requests_for(prompts(8), n_samples=2)
    wanted = run(batch("t5", SAMPLED), requests)
    decoder = batch("t5", SAMPLED)
    owners = {"append": decoder._codec, "finish": decoder._codec, "place": decoder._model.cache}
    owner: Any = owners.get(where, decoder._model)
    original, calls = getattr(owner, where), 0

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 5 == 2 and calls < 30:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, where, interrupted)
    decoder.submit(requests)
    results, interruptions = Results(), 0
    while decoder.progress.finished < decoder.progress.total:
        try:
            collect(results, require_finished(decoder.step()))
        except KeyboardInterrupt:  # noqa: PERF203
            interruptions += 1
    assert interruptions >= 1
    assert texts_of(results) == texts_of(wanted)


@pytest.mark.parametrize("kind", ["continuous", "generate"])
def test_a_prompt_that_the_encoder_has_no_room_for_is_finished_empty(kind: str) -> None:
    """At once, and nothing is cut off silently; one that fills the encoder leaves the decoder all of its own room."""
    settings = GenerationSettings(max_new_tokens=2 * CONTEXT)
    decoder = batch("bart", settings) if kind == "continuous" else generate_queue("bart", settings)
    assert len(make_tiny("bart").tokenizer("0" * (CONTEXT - 2)).input_ids) == CONTEXT
    results = run(decoder, [Request(key="full", prompt="0" * (CONTEXT - 2)), Request(key="over", prompt="0" * CONTEXT)])
    assert (results["over", 0].text, results["over", 0].n_tokens, results["over", 0].ttft_s) == ("", 0, None)
    assert results["over", 0].finish_reason == "length"
    ids = generated_alone("bart", "0" * (CONTEXT - 2), CONTEXT - 2)
    assert (results["full", 0].text, results["full", 0].n_tokens) == (decoded("bart", ids), len(ids))


def test_relative_positions_have_no_limit() -> None:
    """T5 reads and generates more than any number in its config."""
    ids = generated_alone("t5", "def add " * 200, 200)
    results = run(batch("t5", GenerationSettings(max_new_tokens=200)), requests_for(["def add " * 200]))
    assert results["r0", 0].text == decoded("t5", ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_are_no_text(family: str) -> None:
    """Neither language codes nor marks of a gap, wherever the decoder generates them."""
    tokenizer = make_tiny(family).tokenizer
    special = [token for token in tokenizer.all_special_ids if token != tokenizer.eos_token_id]
    codec = language_model(family).codec
    sample = PendingSample(request=Request(key="r", prompt="x"), index=0, prompt_ids=(), max_new_tokens=99)
    row = Row(sample=sample, rng=random.Random(0), drafts=Drafts(()), admitted_at=0.0)  # noqa: S311
    ids = tokenizer("def add", add_special_tokens=False).input_ids
    for token in [*special, *ids, *special]:
        codec.append(row, token)
    assert codec.finish(row).completion.text.strip() == "def add"


@pytest.mark.parametrize(
    ("family", "start"),
    [("t5", ("<pad>",)), ("codet5", ("<pad>",)), ("bart", ("</s>", "<s>")), ("plbart", ("__en_XX__",))],
)
def test_the_decoder_begins_as_it_was_trained_to(family: str, start: tuple[str, ...]) -> None:
    """With its start token, the forced token behind it, or the language of its tokenizer."""
    tokenizer = make_tiny(family).tokenizer
    assert tuple(tokenizer.convert_ids_to_tokens(list(described(family).start))) == start


def test_a_decoder_without_a_start_token_is_refused() -> None:
    model, tokenizer = make_tiny("t5")

    class Config:
        is_encoder_decoder, decoder_start_token_id = True, None

    bare = type("Bare", (), {"config": Config, "generation_config": None})
    with pytest.raises(ModelSourceError, match=r"the decoder of this type has no start token.*decoder_start_token_id"):
        encoder_decoder_of(bare, tokenizer)
    assert encoder_decoder_of(type("Causal", (), {"config": object}), tokenizer) is None
    assert encoder_decoder_of(model, tokenizer) is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_ordinary_models_fit_the_continuous_batch(family: str) -> None:
    assert find_fallback_reason(make_tiny(family).model, described(family)) == ""


def test_positions_that_cannot_be_set_are_found_out() -> None:
    """LED counts its columns itself and takes no positions: it falls back to `generate`."""
    names = ("encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads")
    width = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "attention_window": 4}
    config = LEDConfig(vocab_size=50, **dict.fromkeys(names, 1), **width)
    model = AutoModelForSeq2SeqLM.from_config(config).eval()
    found = EncoderDecoder(start=(2,), source_limit=64, target_limit=64)
    assert find_fallback_reason(model, found).startswith("its forward refuses the cache (TypeError")


def test_a_model_that_ignores_where_rows_begin_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial lets a row join late, so a forward that looks before its beginning is noticed."""
    model = make_tiny("t5").model
    forward: Callable[..., Any] = model.forward
    monkeypatch.setattr(model, "forward", lambda **kwargs: forward(**{**kwargs, "decoder_attention_mask": None}))
    assert find_fallback_reason(model, described("t5")).startswith("its logits differ")


def test_columns_that_no_row_uses_are_reused() -> None:
    """However many rows come and go, there are never many more columns than rows are long."""
    cache_ = AlignedCache(rows=2, device=torch.device("cpu"))

    one = (torch.ones(1, 1, 1),)
    prompt = Prefilled(keys=one, values=one, length=1, cross_keys=one, cross_values=one, logits=torch.ones(1))
    cache_.place(0, prompt, capacity=0)
    for row in range(200):
        cache_.place(1, prompt, capacity=0)
        for _ in range(5):
            cache_.begin_step(2)
        cache_.move(1, 0, length=0)  # row 0 leaves, and the other takes its place
        step = cache_.begin_step(1)
        assert step.decoder_mask.shape == (1, 7), row
    assert cache_.columns == 64
