"""What prompts begin with is computed once, and no completion depends on who else begins like it."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.hf.attention import use_grouped_attention
from pytest_qeval.engines.hf.continuous_batch import BatchShape, ContinuousBatch
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.hf.forward import CausalBatchModel
from pytest_qeval.engines.hf.invariance import multiply_in_blocks
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import TokenCodec
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

EXAMPLES = "def add(a, b):\n    return a + b\nassert add(1, 2) == 3\n\n"
RESTS = (
    "def f(x):\n    return x\nassert f(7) == ",
    "x",
    "import re\n\ndef f(x):\n    return 'größer'\nassert f(1) == ",
    "",
)
REQUESTS = [Request(key=str(at), prompt=EXAMPLES + rest, shared=EXAMPLES) for at, rest in enumerate(RESTS)]
OTHER = Request(key="other", prompt="for i in range(10):\n    ", shared=EXAMPLES)


@pytest.fixture
def attending(make_model: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a model of a family with our attention."""

    def make(family: str) -> Any:
        model = copy.deepcopy(make_model(family))
        model.set_attn_implementation("sdpa")
        use_grouped_attention(model)
        return model

    return make


def batch(model: Any, tokenizer: Any, *, rows: int = 4, group: int = 3) -> ContinuousBatch:
    language_model = LanguageModel(model=model, tokenizer=tokenizer, eos_ids=(tokenizer.eos_token_id,))
    shape = BatchShape(rows=rows, group_prompts=group, group_tokens=200)
    return ContinuousBatch(language_model, GenerationSettings(max_new_tokens=24), shape=shape)


def texts_of(engine: Any, requests: Sequence[Request]) -> dict[str, str]:
    engine.submit(requests)
    found: dict[str, str] = {}
    while engine.progress.finished < engine.progress.total:
        found.update({one.key: one.completion.text for one in engine.step()})
    return found


def prefilled_alone(model: Any, prompt: Sequence[int], shared: int) -> Any:
    return CausalBatchModel(model, rows=1).prefill([prompt], [shared])[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "neox"])
def test_a_prompt_behind_a_shared_beginning_has_the_same_bits_alone_and_among_others(
    family: str, dtype: torch.dtype, attending: Callable[[str], Any]
) -> None:
    """In any order, beside prompts with another beginning and with none, first in a model and later."""
    model = attending(family).to(dtype)
    multiply_in_blocks(model)
    one, other = [*range(5, 25)], [*range(40, 60)]
    prompts = [([*one, 7, 8, 9], 20), ([*other, 3], 20), ([9, 5], 0), ([*one, *[8] * 30], 20), ([*one, 1], 17)]
    alone = [prefilled_alone(model, *prompt) for prompt in prompts]
    together = CausalBatchModel(model, rows=3)
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [3, 0]):
        found = together.prefill(*zip(*(prompts[at] for at in order), strict=True))
        for at, result in zip(order, found, strict=True):
            assert result.length == len(prompts[at][0]) == result.keys[0].shape[1]
            assert torch.equal(result.logits, alone[at].logits)
            assert all(map(torch.equal, (*result.keys, *result.values), (*alone[at].keys, *alone[at].values)))


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "neox"])
def test_a_shared_beginning_gives_what_the_whole_prompt_gives(family: str, attending: Callable[[str], Any]) -> None:
    """Logits, keys and values, but for rounding."""
    model, prompt = attending(family), [(31 * at + 7) % 300 for at in range(60)]
    parts, whole = prefilled_alone(model, prompt, 40), prefilled_alone(model, prompt, 0)
    torch.testing.assert_close(parts.logits, whole.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parts.keys, whole.keys, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parts.values, whole.values, rtol=1e-4, atol=1e-4)


def test_a_beginning_is_computed_once(attending: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not computed again in later groups; only what differs is."""
    model = attending("llama")
    lengths, forward = [], model.forward

    def record(**fed: Any) -> Any:
        lengths.append(fed["input_ids"].shape[1])
        return forward(**fed)

    monkeypatch.setattr(model, "forward", record)
    both = CausalBatchModel(model, rows=4)
    beginning = [5] * 100
    both.prefill([[*beginning, *[6] * 40], [*beginning, *[7] * 30]], [100, 100])
    both.prefill([[*beginning, *[8] * 90]], [100])
    assert lengths == [100, 70, 90]


@pytest.mark.parametrize("attention", ["grouped", "eager"])
def test_completions_are_those_of_whole_prompts(
    attention: str, attending: Callable[[str], Any], make_model: Callable[[str], Any], tokenizer: Any
) -> None:
    """Also where the attention cannot be told of a beginning, and whole prompts are computed."""
    model = attending("llama") if attention == "grouped" else copy.deepcopy(make_model("llama"))
    if attention == "eager":
        model.set_attn_implementation("eager")
    whole = [replace(one, shared="") for one in (*REQUESTS, OTHER)]
    assert texts_of(batch(model, tokenizer), (*REQUESTS, OTHER)) == texts_of(batch(model, tokenizer), whole)
    assert CausalBatchModel(model, rows=1).shares_prefixes == (attention == "grouped")


@pytest.mark.parametrize("name", ["fp32", "bf16", "int8"])
def test_completions_of_the_demo_model_do_not_depend_on_who_shares_the_beginning(name: str) -> None:
    """Alone, all together, backwards, some of them, and in another width."""

    def open_engine(rows: int) -> TransformersEngine:
        model = ModelSettings(name="demo", device="cpu", batch_size=rows)
        generation = GenerationSettings(max_new_tokens=12)
        return TransformersEngine(source=resolve(model), recipe=find_recipe(name), model=model, generation=generation)

    requests = [*REQUESTS, OTHER]
    engine = open_engine(8)
    expected = texts_of(engine, requests)
    assert texts_of(engine, requests[::-1]) == expected
    for one in requests:
        assert texts_of(engine, [one]).items() <= expected.items()
    assert texts_of(open_engine(3), requests[1::2]).items() <= expected.items()


def test_a_closed_engine_keeps_no_beginning() -> None:
    model = ModelSettings(name="demo", device="cpu", batch_size=4)
    generation = GenerationSettings(max_new_tokens=2)
    engine = TransformersEngine(source=resolve(model), recipe=find_recipe("fp32"), model=model, generation=generation)
    texts_of(engine, REQUESTS)
    batch_model: Any = engine._decoder
    kept = [*batch_model._model._prefixes.values()]
    tensors = [weakref.ref(tensor) for one in kept for tensor in (*one.keys, *one.values)]
    assert tensors
    del batch_model, kept
    engine.close()
    gc.collect()
    assert not any(tensor() is not None for tensor in tensors)


def shared_of(tokenizer: Any, **fields: Any) -> int:
    codec, request = TokenCodec(tokenizer, []), Request(key="r", **fields)
    return codec.count_shared(request, codec.encode_requests([request])[0])


def test_shared_tokens_are_those_of_the_shared_text_alone(tokenizer: Any) -> None:
    """A token that reaches beyond the shared text does not count, and the last one of a prompt is left to compute."""
    ids = tokenizer(EXAMPLES).input_ids
    assert shared_of(tokenizer, prompt=EXAMPLES + "x", shared=EXAMPLES) == len(ids)
    assert shared_of(tokenizer, prompt=EXAMPLES, shared=EXAMPLES) == len(ids) - 1
    encoded = {cut: tokenizer(EXAMPLES[:cut]).input_ids for cut in range(38, len(EXAMPLES))}
    cut, alone = next((cut, alone) for cut, alone in encoded.items() if alone != ids[: len(alone)])
    within = shared_of(tokenizer, prompt=EXAMPLES, shared=EXAMPLES[:cut])
    assert 16 <= within < len(alone)
    assert alone[:within] == ids[:within]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "x" + EXAMPLES, "shared": EXAMPLES},
        {"prompt": EXAMPLES, "shared": ""},
        {"prompt": EXAMPLES, "shared": EXAMPLES[:5]},
    ],
    ids=["begins otherwise", "nothing shared", "too short"],
)
def test_nothing_is_shared(tokenizer: Any, fields: dict[str, str]) -> None:
    assert shared_of(tokenizer, **fields) == 0


def test_an_encoder_shares_nothing(tokenizer: Any) -> None:
    """Its tokens attend to later ones, too."""
    codec = TokenCodec(tokenizer, [], encoder_decoder=True)
    assert codec.count_shared(REQUESTS[0], codec.encode_requests(REQUESTS[:1])[0]) == 0


@pytest.fixture
def chatting(tokenizer: Any) -> Any:
    """Like `tokenizer`, with a template that has a system's turn and refuses empty messages on demand."""
    copied = copy.deepcopy(tokenizer)
    copied.chat_template = (
        "{% if messages[0].content == refused %}{{ raise_exception('empty') }}{% endif %}"
        "system: You write the shortest of all programs.\nuser: {{ messages[0].content }}\nassistant: "
    )
    return copied


def test_messages_share_the_systems_turn_and_how_they_begin(chatting: Any) -> None:
    system = len(chatting("system: You write the shortest of all programs.\nuser: ").input_ids)
    nothing = shared_of(chatting, prompt="```", user="Write add.")
    assert 16 <= nothing <= system
    more = shared_of(chatting, prompt="```", user=f"{EXAMPLES}Write add.", shared=EXAMPLES)
    assert more >= nothing + 20


def test_a_template_that_refuses_the_shared_text_shares_nothing(chatting: Any) -> None:
    chatting.chat_template = chatting.chat_template.replace("refused", "''")
    assert shared_of(chatting, prompt="```", user="Write add.") == 0
