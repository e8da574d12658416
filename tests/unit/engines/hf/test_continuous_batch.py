"""The continuous batch, and its fall-back, give what the model gives one prompt at a time."""

from __future__ import annotations

import contextlib
import copy
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from types import FrameType
from typing import Any

import pytest
import torch

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.decoder import Decoder
from pytest_qeval.engines.hf.drafts import Drafts
from pytest_qeval.engines.hf.forward import CausalBatchModel, context_length
from pytest_qeval.engines.hf.generate import GenerateQueue, pick_group
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import PendingSample, Row, TokenCodec
from pytest_qeval.engines.hf.trial import find_fallback_reason
from pytest_qeval.errors import EngineError
from pytest_qeval.schema import Completion
from pytest_qeval.settings import GenerationSettings

Results = dict[tuple[str, int], Completion]
CONTINUOUS = ["llama", "qwen2", "gpt2", "neox"]
GREEDY = GenerationSettings(max_new_tokens=24)
SAMPLED = GenerationSettings(max_new_tokens=16, temperature=0.8, top_p=0.9, seed=3)


def prompts(count: int, seed: int = 0) -> list[str]:
    """Make prompts of very different lengths, with multi-byte characters."""
    rng = random.Random(seed)  # noqa: S311
    words = ["def add", "(a, b)", ":\n    ", "return ", "größer", "日本語", "🎉", "x", " + 1", "print("]
    return ["".join(rng.choices(words, k=rng.randint(1, 9))) for _ in range(count)]


def batch(
    model: Any,
    tokenizer: Any,
    generation: GenerationSettings = GREEDY,
    *,
    rows: int = 4,
    group: int = 3,
) -> ContinuousBatch:
    shape = BatchShape(rows=rows, group_prompts=group, group_tokens=200)
    return ContinuousBatch(language_model(model, tokenizer), generation, shape=shape)


def language_model(model: Any, tokenizer: Any) -> LanguageModel:
    return LanguageModel(model=model, tokenizer=tokenizer, eos_ids=(tokenizer.eos_token_id,))


def run(decoder: Decoder, requests: Sequence[Request] = ()) -> Results:
    """Submit and step until everything is finished."""
    decoder.submit(requests)
    results: Results = {}
    while decoder.progress.finished < decoder.progress.total:
        _collect(results, decoder.step())
    return results


def _collect(results: Results, finished: Sequence[FinishedCompletion | FailedCompletion]) -> None:
    for one in finished:
        assert isinstance(one, FinishedCompletion)
        assert (one.key, one.index) not in results, "handed out twice"
        results[one.key, one.index] = one.completion


def requests_for(texts: Sequence[str], **fields: Any) -> list[Request]:
    return [Request(key=f"r{at}", prompt=text, **fields) for at, text in enumerate(texts)]


@pytest.fixture(scope="session")
def generated_alone(make_model: Callable[[str], Any], tokenizer: Any) -> Callable[[str, str], list[int]]:
    """Return the tokens that plain `generate` makes of one prompt, the end-of-sequence token included."""

    @cache
    def generate(family: str, prompt: str) -> list[int]:
        ids = torch.tensor([tokenizer(prompt).input_ids])
        mask = torch.ones_like(ids)
        out = make_model(family).generate(ids, attention_mask=mask, max_new_tokens=24, do_sample=False)
        return list(map(int, out[0, ids.shape[1] :]))

    return generate


def expected_text(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def with_attention(model: Any, name: str) -> Any:
    """Return a copy of a model that attends by transformers' `sdpa` or `eager`, or by ours."""
    model = copy.deepcopy(model)
    model.set_attn_implementation("sdpa" if name == "grouped" else name)
    if name == "grouped":
        use_grouped_attention(model)
        assert model.config._attn_implementation == "qeval_grouped"
    return model


@pytest.mark.parametrize("attention", ["sdpa", "grouped", "eager"])
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("family", CONTINUOUS)
def test_greedy_completions_equal_generate_one_by_one(
    *,
    family: str,
    rows: int,
    attention: str,
    make_model: Callable[[str], Any],
    tokenizer: Any,
    generated_alone: Callable[[str, str], list[int]],
) -> None:
    """Whatever the batch width and whoever the neighbours are."""
    model, texts = with_attention(make_model(family), attention), prompts(9)
    results = run(batch(model, tokenizer, rows=rows), requests_for(texts))
    for at, text in enumerate(texts):
        ids = generated_alone(family, text)
        completion = results[f"r{at}", 0]
        assert completion.text == expected_text(tokenizer, ids)
        assert completion.n_tokens == len(ids)
        assert completion.finish_reason == ("eos" if ids[-1] == tokenizer.eos_token_id else "length")


@pytest.mark.parametrize("make", ["continuous", "generate"])
def test_a_request_may_need_less_than_the_session_allows(
    make: str, make_model: Callable[[str], Any], tokenizer: Any
) -> None:
    """A smaller limit ends it early, whatever its neighbours may do; a larger one changes nothing."""
    model, limits = make_model("llama"), (None, 3, 99)
    decoder = batch(model, tokenizer, rows=3) if make == "continuous" else generate_queue(model, tokenizer)
    texts = prompts(1) * 3
    asked = [replace(one, max_new_tokens=n) for one, n in zip(requests_for(texts), limits, strict=True)]
    found = run(decoder, asked)

    assert found["r0", 0] == replace(found["r2", 0], ttft_s=found["r0", 0].ttft_s, duration_s=found["r0", 0].duration_s)
    assert (found["r1", 0].n_tokens, found["r1", 0].finish_reason) == (3, "length")
    assert found["r0", 0].text.startswith(found["r1", 0].text)


@pytest.mark.parametrize("family", CONTINUOUS)
def test_expected_completions_change_nothing(family: str, make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Right ones, those of other prompts, beginnings, noise, and none, in one batch."""
    model, texts = with_attention(make_model(family), "grouped"), prompts(10)
    plain = [run(batch(model, tokenizer, rows=4), requests_for(texts))[f"r{at}", 0] for at in range(len(texts))]
    right = [completion.text for completion in plain]
    tries = [right, [*right[1:], ""], [text[: len(text) // 2] for text in right], ["x = 1\n" * 9] * 10]
    mixed = [tries[at % len(tries)][at] for at in range(len(texts))]
    for expected in (*tries, mixed):
        requests = [
            replace(request, expected=(text,)) for request, text in zip(requests_for(texts), expected, strict=True)
        ]
        results = run(batch(model, tokenizer, rows=4), requests)
        found = [results[f"r{at}", 0] for at in range(len(texts))]
        assert [(one.text, one.n_tokens, one.finish_reason) for one in found] == [
            (one.text, one.n_tokens, one.finish_reason) for one in plain
        ]


def test_expected_samples_change_nothing(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Every sample has its own draft, and draws the same random numbers with it."""
    model, settings = make_model("llama"), replace(GREEDY, temperature=1.0, n_samples=2)
    requests = requests_for(prompts(3), n_samples=2)
    plain = run(batch(model, tokenizer, settings), requests)
    expected = [
        replace(request, expected=tuple(plain[request.key, index].text for index in range(2))) for request in requests
    ]
    drafted = run(batch(model, tokenizer, settings), expected)
    assert {key: one.text for key, one in drafted.items()} == {key: one.text for key, one in plain.items()}
    assert len({one.text for one in plain.values()}) > 3


def test_an_expected_completion_is_confirmed_in_fewer_steps(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """A row's own text suggests next to nothing here."""
    model, texts = make_model("llama"), prompts(4)
    plain = run(batch(model, tokenizer, rows=4), requests_for(texts))
    expected = [replace(request, expected=(plain[request.key, 0].text,)) for request in requests_for(texts)]
    assert count_steps(batch(model, tokenizer, rows=4), expected) < count_steps(
        batch(model, tokenizer, rows=4), requests_for(texts)
    )


@pytest.mark.parametrize(("attention", "shape"), [("grouped", (1, 64)), ("eager", (3, 64))])
def test_prompts_are_prefilled_behind_one_another(
    attention: str, shape: tuple[int, int], make_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the attention can be told their borders; elsewhere as rows of one padded length."""
    model = with_attention(make_model("llama"), attention)
    shapes: list[tuple[int, ...]] = []
    forward = model.forward

    def record(**fed: Any) -> Any:
        shapes.append(tuple(fed["input_ids"].shape))
        return forward(**fed)

    monkeypatch.setattr(model, "forward", record)
    together = CausalBatchModel(model, rows=3).prefill([[5, 6, 7], [8] * 30, [9, 5]])
    assert shapes == [shape]
    alone = [CausalBatchModel(model, rows=3).prefill([ids])[0] for ids in ([5, 6, 7], [8] * 30, [9, 5])]
    for one, other in zip(together, alone, strict=True):
        assert one.length == other.length == one.keys[0].shape[1]
        assert torch.equal(one.logits, other.logits)
        assert all(map(torch.equal, (*one.keys, *one.values), (*other.keys, *other.values)))


def count_steps(decoder: Decoder, requests: Sequence[Request]) -> int:
    decoder.submit(requests)
    steps = 0
    while decoder.progress.finished < decoder.progress.total:
        decoder.step()
        steps += 1
    return steps


@pytest.mark.parametrize("seed", range(6))
def test_any_pattern_of_joining_and_leaving_gives_the_same(
    seed: int, make_model: Callable[[str], Any], tokenizer: Any
) -> None:
    """Requests that are submitted while others are being decoded change nobody's completion."""
    rng = random.Random(seed)  # noqa: S311
    model, texts = make_model("llama"), prompts(12, seed=seed)
    requests = requests_for(texts, stops=("a",))
    alone = run(batch(model, tokenizer, rows=1), requests)
    decoder, together, waiting = batch(model, tokenizer, rows=rng.randint(2, 6)), Results(), list(requests)
    while waiting or decoder.progress.finished < decoder.progress.total:
        count = rng.choice([0, 0, 0, 1, 3])
        decoder.submit(waiting[:count])
        del waiting[:count]
        _collect(together, decoder.step())
    assert {key: one.text for key, one in together.items()} == {key: one.text for key, one in alone.items()}


@pytest.mark.parametrize("decoder_kind", ["continuous", "generate"])
def test_stop_strings_are_found_across_token_borders(
    decoder_kind: str,
    make_model: Callable[[str], Any],
    tokenizer: Any,
    generated_alone: Callable[[str, str], list[int]],
) -> None:
    """Every substring of what would be generated works as a stop, and the text ends before its first occurrence."""
    model = make_model("llama")
    whole = expected_text(tokenizer, generated_alone("llama", "def add"))
    stops = [whole[at : at + length] for at in range(3, len(whole) - 4, 3) for length in (1, 2, 4)]
    stops = [stop for stop in stops if "\ufffd" not in stop]
    assert len(stops) > 5, "the random model generates too little text for this test"
    decoder = batch(model, tokenizer) if decoder_kind == "continuous" else generate_queue(model, tokenizer)
    requests = [Request(key=str(at), prompt="def add", stops=("nowhere", stop)) for at, stop in enumerate(stops)]
    results = run(decoder, requests)
    for at, stop in enumerate(stops):
        assert results[str(at), 0].text == whole[: whole.index(stop)], repr(stop)
        assert results[str(at), 0].finish_reason == "stop"


def test_generation_ends_with_the_token_that_completes_the_stop(tokenizer: Any) -> None:
    """Token by token, with a multi-byte character inside the stop string."""
    codec = TokenCodec(tokenizer, [tokenizer.eos_token_id])
    ids = tokenizer("x = 'größer 🎉' # end").input_ids
    row = make_row(stops=("r 🎉",))
    reasons = [codec.append(row, token) for token in ids]
    first = reasons.index("stop")
    assert "🎉" in expected_text(tokenizer, ids[: first + 1])
    assert "🎉" not in expected_text(tokenizer, ids[:first])
    assert codec.finish(row).completion.text == "x = 'größe"


def test_a_special_token_can_be_a_stop_string(tokenizer: Any) -> None:
    """It decodes to nothing, yet ends the row."""
    codec = TokenCodec(tokenizer, [tokenizer.eos_token_id])
    row = make_row(stops=("<file_sep>",))
    ids = [*tokenizer("abc").input_ids, tokenizer.convert_tokens_to_ids("<file_sep>")]
    assert [codec.append(row, token) for token in ids][-1] == "stop"
    assert codec.finish(row).completion.text == "abc"


def make_row(**fields: Any) -> Row:
    sample = PendingSample(request=Request(key="r", prompt="p", **fields), index=0, prompt_ids=(5,), max_new_tokens=99)
    rng = random.Random(0)  # noqa: S311
    return Row(sample=sample, rng=rng, drafts=Drafts(()), admitted_at=0.0)


def test_a_prompt_that_fills_the_context_is_finished_empty(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """And one that nearly fills it gets what room there is, learned positions included."""
    model = make_model("gpt2")
    decoder = batch(model, tokenizer)
    full = "a" * (3 * context_length(model))
    room_for_3 = "0" * (context_length(model) - 3)
    assert len(tokenizer(room_for_3).input_ids) == context_length(model) - 3
    results = run(decoder, [Request(key="full", prompt=full), Request(key="three", prompt=room_for_3)])
    assert results["full", 0] == Completion(
        text="", n_tokens=0, finish_reason="length", ttft_s=None, duration_s=results["full", 0].duration_s
    )
    assert results["three", 0].n_tokens in {1, 2, 3}


def test_an_empty_prompt_is_completed(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """It begins with the token that begins, or else ends, a sequence."""
    assert len(run(batch(make_model("llama"), tokenizer), [Request(key="r", prompt="")])) == 1


def test_an_empty_queue_steps_to_nothing(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Before the first request and after the last completion."""
    decoder = batch(make_model("llama"), tokenizer)
    assert list(decoder.step()) == []
    run(decoder, requests_for(["x"]))
    assert list(decoder.step()) == []


@pytest.mark.parametrize("kind", ["continuous", "generate"])
def test_counts_and_times_add_up(kind: str, make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Tokens of the completions are the progress's tokens; the first token comes before the last."""
    model, texts = make_model("llama"), prompts(7)
    decoder = batch(model, tokenizer) if kind == "continuous" else generate_queue(model, tokenizer)
    results = run(decoder, requests_for(texts))
    progress = decoder.progress
    assert progress.finished == progress.total == len(texts)
    assert progress.new_tokens == sum(one.n_tokens or 0 for one in results.values())
    assert progress.prompt_tokens == sum(len(tokenizer(text).input_ids) for text in texts)
    assert progress.busy_s > 0
    for one in results.values():
        assert one.ttft_s is not None
        assert one.duration_s is not None
        assert 0 < one.ttft_s <= one.duration_s


def test_samples_share_one_prefill(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Prompt tokens are counted once however many samples there are, also when they do not all fit in the batch."""
    decoder = batch(make_model("llama"), tokenizer, SAMPLED, rows=3)
    results = run(decoder, requests_for(["def add(a", "print("], n_samples=7))
    assert decoder.progress.prompt_tokens == sum(len(tokenizer(text).input_ids) for text in ("def add(a", "print("))
    assert sorted(results) == [(key, index) for key in ("r0", "r1") for index in range(7)]
    assert len({one.text for one in results.values()}) > 7, "samples differ"


def test_room_is_made_once_for_the_whole_queue(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """The longest prompt comes last, and the first row's cache is large enough for it already."""
    decoder = batch(make_model("llama"), tokenizer, rows=2, group=1)
    decoder.submit(requests_for(["x", "def add(a, b):\n    return a + b\n" * 3]))
    decoder.step()
    cache_: Any = decoder._model.cache
    room = cache_.store.tensors[0]
    run(decoder)

    assert cache_.store.tensors[0] is room
    assert room.shape[2] > 64, "more than the first prompt needs"


@pytest.mark.parametrize("top_p", [1.0, 0.9])
def test_samples_depend_on_the_seed_only(top_p: float, make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Not on the batch width, the neighbours, or the way of decoding."""
    model = make_model("qwen2")
    settings = GenerationSettings(max_new_tokens=12, temperature=0.8, top_p=top_p, seed=3)
    mine = Request(key="mine", prompt="def add(", n_samples=3, seed=7)
    others = requests_for(prompts(4), n_samples=2)
    wanted = {index: run(batch(model, tokenizer, settings, rows=1), [mine])["mine", index].text for index in range(3)}
    for decoder in (batch(model, tokenizer, settings, rows=5), generate_queue(model, tokenizer, settings)):
        results = run(decoder, [*others[:2], mine, *others[2:]])
        assert {index: results["mine", index].text for index in range(3)} == wanted
    reseeded = run(batch(model, tokenizer, settings), [Request(key="mine", prompt="def add(", n_samples=3, seed=8)])
    assert {index: reseeded["mine", index].text for index in range(3)} != wanted


@pytest.mark.parametrize("exception", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("where", ["prefill", "advance", "append", "finish", "place"])
def test_an_exception_in_mid_step_loses_nothing(
    where: str,
    exception: type[BaseException],
    make_model: Callable[[str], Any],
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows in flight are generated afresh, finished ones are handed out once."""
    requests = requests_for(prompts(8), n_samples=2)
    model = make_model("llama")
    wanted = run(batch(model, tokenizer, SAMPLED), requests)
    decoder = batch(model, tokenizer, SAMPLED)
    owner: Any = {"append": decoder._codec, "finish": decoder._codec, "place": decoder._model.cache}.get(
        where, decoder._model
    )
    original, calls = getattr(owner, where), 0

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 5 == 2 and calls < 30:
            raise exception
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, where, interrupted)
    decoder.submit(requests)
    results: Results = {}
    interruptions = 0
    while decoder.progress.finished < decoder.progress.total:
        try:
            _collect(results, decoder.step())
        except exception:  # noqa: PERF203
            interruptions += 1
    assert interruptions >= 1
    assert {key: one.text for key, one in results.items()} == {key: one.text for key, one in wanted.items()}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_signal_at_any_point_of_a_step_changes_no_completion(
    family: str, make_model: Callable[[str], Any], tokenizer: Any
) -> None:
    """As the handlers of Ctrl-C and of pytest-timeout raise: between any two lines of the engine."""
    requests, model = requests_for(prompts(3)), make_model(family)
    settings = GenerationSettings(max_new_tokens=6)
    wanted = run(batch(model, tokenizer, settings), requests)
    anywhere = [(step, line, "engines/hf/") for step in range(3) for line in range(0, 400, 57)]
    for step, line, where in [*((0, line, "engines/hf/cache.py") for line in range(24)), *anywhere]:
        decoder = batch(model, tokenizer, settings)
        decoder.submit(requests)
        results: Results = {}
        for _ in range(step):
            _collect(results, decoder.step())
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(line, where):
            _collect(results, decoder.step())
        results.update(run(decoder))
        assert {key: one.text for key, one in results.items()} == {key: one.text for key, one in wanted.items()}


@contextlib.contextmanager
def interrupted_at(line: int, where: str) -> Iterator[None]:
    """Raise KeyboardInterrupt at the n-th line of the engine's code whose file's path contains `where`."""
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if where not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename:
            return None
        seen += event == "line"
        if seen > line:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("CPU: can't allocate memory"),
    ],
    ids=["GPU", "Python", "CPU"],
)
@pytest.mark.parametrize("kind", ["batch", "queue"])
def test_out_of_memory_the_batch_is_halved_and_goes_on(
    kind: str, error: Exception, make_model: Callable[[str], Any], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it fits; completions are those of a batch that was never wider."""
    model, requests = make_model("llama"), requests_for(prompts(9))
    wanted = run(batch(model, tokenizer, rows=2), requests)
    owner, name = (CausalBatchModel, "advance") if kind == "batch" else (GenerateQueue, "_generate")
    original, widths = getattr(owner, name), list[int]()

    def short_of_memory(self: Any, rows: Sequence[Any], *given: Any) -> Any:
        widths.append(len(rows))
        if len(rows) > 2:
            raise error
        return original(self, rows, *given)

    monkeypatch.setattr(owner, name, short_of_memory)
    queue = GenerateQueue(language_model(model, tokenizer), GREEDY, rows=8)
    decoder: Decoder = batch(model, tokenizer, rows=8, group=8) if kind == "batch" else queue
    found = run(decoder, requests)

    assert decoder.rows == 2 < max(widths)
    assert {key: one.text for key, one in found.items()} == {key: one.text for key, one in wanted.items()}


def test_memory_that_is_too_small_for_one_row_is_one_sentence(
    make_model: Callable[[str], Any], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is finished stays finished."""

    def always(*_: Any) -> None:
        raise MemoryError

    decoder = batch(make_model("llama"), tokenizer, rows=4)
    monkeypatch.setattr(CausalBatchModel, "advance", always)
    with pytest.raises(EngineError, match="not enough memory for a single completion: choose a smaller"):
        run(decoder, requests_for(prompts(3)))


def test_another_error_is_no_lack_of_memory(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """A bug keeps its traceback, and the batch its width."""
    decoder = batch(make_model("llama"), tokenizer, rows=4)
    decoder._model = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        run(decoder, requests_for(prompts(3)))
    assert decoder.rows == 4


@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=str)
@pytest.mark.parametrize("settings", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_logits_that_are_not_finite_cost_their_own_row_only(
    settings: GenerationSettings,
    value: float,
    make_model: Callable[[str], Any],
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quantized model that overflows on a prompt has no completion of it; a token drawn from NaN would be noise."""
    model, requests = make_model("llama"), requests_for(prompts(6))
    wanted = run(batch(model, tokenizer, settings), requests)
    choose = Decoder._choose

    def overflowing(self: Decoder, logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
        broken = [row.sample.request.key == "r2" and len(row.ids) == 3 for row in rows]
        return choose(self, logits.masked_fill(torch.tensor(broken)[:, None], value), rows)

    monkeypatch.setattr(Decoder, "_choose", overflowing)
    decoder = batch(model, tokenizer, settings)
    decoder.submit(requests)
    found = list[FinishedCompletion | FailedCompletion]()
    while decoder.progress.finished < decoder.progress.total:
        found += decoder.step()

    (failed,) = (one for one in found if isinstance(one, FailedCompletion))
    assert (failed.key, failed.index) == ("r2", 0)
    assert "logits are NaN or infinite after 3 tokens" in failed.reason
    others = {one.key: one.completion.text for one in found if isinstance(one, FinishedCompletion)}
    assert others == {key: one.text for (key, _), one in wanted.items() if key != "r2"}


def test_early_requests_finish_early(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """The first of the queue is always taken, so that the queue's order is roughly that of finishing."""
    model, texts = make_model("llama"), prompts(40)
    finished = [key for key, _ in run(batch(model, tokenizer, rows=4), requests_for(texts))]
    first_half = [int(key[1:]) for key in finished[:20]]
    assert sum(at < 28 for at in first_half) >= 18


@pytest.mark.parametrize(
    ("lengths", "count", "expected"),
    [
        ([10, 90, 11, 80, 12], 3, [0, 2, 4]),
        ([50, 10, 52, 51, 90], 3, [0, 2, 3]),
        ([50, 50, 50, 50], 2, [0, 1]),
        ([7], 4, [0]),
    ],
    ids=["shorter first", "either side", "equal", "single"],
)
def test_groups_have_similar_lengths_and_hold_the_first(lengths: list[int], count: int, expected: list[int]) -> None:
    assert pick_group(lengths, count) == expected


def generate_queue(model: Any, tokenizer: Any, generation: GenerationSettings = GREEDY) -> GenerateQueue:
    return GenerateQueue(language_model(model, tokenizer), generation, rows=3)


@pytest.mark.parametrize("family", ["mistral", "llama"])
def test_the_fall_back_equals_generate_one_by_one(
    family: str, make_model: Callable[[str], Any], tokenizer: Any, generated_alone: Callable[[str, str], list[int]]
) -> None:
    """With left padding, and with prompts and completions longer than a sliding window."""
    model, texts = make_model(family), prompts(7)
    results = run(generate_queue(model, tokenizer), requests_for(texts))
    for at, text in enumerate(texts):
        ids = generated_alone(family, text)
        assert results[f"r{at}", 0].text == expected_text(tokenizer, ids)
        assert results[f"r{at}", 0].n_tokens == len(ids)


@pytest.mark.parametrize("family", CONTINUOUS)
def test_ordinary_models_fit_the_continuous_batch(family: str, make_model: Callable[[str], Any]) -> None:
    assert find_fallback_reason(make_model(family)) == ""


def test_a_sliding_window_is_known_from_the_config(make_model: Callable[[str], Any]) -> None:
    assert find_fallback_reason(make_model("mistral")) == "sliding-window attention"


def test_a_model_that_ignores_the_mask_is_found_out(
    make_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial compares logits, so a forward that accepts the arguments and ignores them is noticed."""
    model = make_model("neox")
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda **kwargs: forward(**{**kwargs, "position_ids": None}))
    assert find_fallback_reason(model).startswith("its logits differ")
