"""Find out what a server can do, with a few requests of some tokens, before anything is asked in earnest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.openai.answer import Answer
from pytest_qeval.engines.openai.client import RefusedError, ServerClient
from pytest_qeval.engines.openai.forcing import NO_SCORES, Forcing, find_forcing
from pytest_qeval.engines.openai.request_body import (
    CHAT,
    CHAT_FORMS,
    COMPLETIONS,
    FEW_STOPS,
    NEUTRAL,
    Abilities,
    call_of,
)
from pytest_qeval.errors import EngineError
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings

_PROMPT = "def add_numbers(first, second):\n    " + '"""Return the sum of two numbers."""\n' + "    return first + "
_MESSAGE = "Write the Python function `add_numbers` with the parameters `first` and `second`."
_BEGUN = "```python\ndef add_numbers"
_STOPS = tuple(f"\nqeval stop {number}" for number in range(12))
"""As many as the completion style has, and more than the interface promises."""
_TRIED: Mapping[str, Mapping[str, Any]] = {
    "seed": {"seed": 1},
    "usage": {"stream_options": {"include_usage": True}},
    "neutral": NEUTRAL,
    "stops": {"stop": list(_STOPS)},
    "few_stops": {"stop": list(_STOPS[:FEW_STOPS])},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a server can do, and what it is."""

    abilities: Abilities
    characters_per_token: float | None = None
    """Of a piece of Python code; None where the server does not count tokens."""
    forcing: Forcing | None = None
    """How it scores tokens that it is given; None where it does not."""
    notes: tuple[str, ...] = field(default=())
    """What it cannot do, one clause each."""


async def probe(
    client: ServerClient, model: str, *, chat: bool, generation: GenerationSettings, software: str = ""
) -> Probed:
    """Ask for a few tokens in several ways; `chat` is whether the run asks by messages.

    `software` is the server's, which may score given tokens in a way of its own.

    Raises:
        EngineError: when the server does not answer the plainest request of the run's kind.
    """
    path = CHAT if chat else COMPLETIONS
    base: Json = {"model": model, "max_tokens": 4, "temperature": 0.0, "stream": True}
    base |= {"messages": [{"role": "user", "content": _MESSAGE}]} if chat else {"prompt": _PROMPT}
    await _ask(client, path, base, model)
    found: dict[str, Answer | None] = {}
    for name, more in _TRIED.items():
        found[name] = await _try(client, path, {**base, **more}, model)
    usage = found["usage"]
    abilities = Abilities(
        seed=found["seed"] is not None,
        n_stops=len(_STOPS) * 10 if found["stops"] else FEW_STOPS if found["few_stops"] else 0,
        usage=usage is not None and usage.new_tokens is not None,
        neutral=found["neutral"] is not None,
    )
    if chat:
        abilities = await _with_chat_form(client, model, base, abilities)
    if generation.temperature and abilities.seed:
        abilities = await _with_checked_seed(client, model, abilities, generation, chat=chat)
    counted = usage.prompt_tokens if usage and not chat else None
    forcing = await find_forcing(client, model, software)
    return Probed(
        abilities=abilities,
        characters_per_token=len(_PROMPT) / counted if counted else None,
        forcing=forcing,
        notes=tuple(_notes(abilities, forcing, chat=chat, sampled=bool(generation.temperature))),
    )


async def answers_chats(client: ServerClient, model: str) -> bool:
    """Return whether a server answers messages."""
    message = [{"role": "user", "content": _MESSAGE}]
    body = {"model": model, "max_tokens": 1, "temperature": 0.0, "stream": True, "messages": message}
    return await _try(client, CHAT, body, model) is not None


async def _with_chat_form(client: ServerClient, model: str, base: Json, abilities: Abilities) -> Abilities:
    """Find how the server is told to continue a reply: after the name of a function, code goes on with `(`."""
    begun = [*base["messages"], {"role": "assistant", "content": _BEGUN}]
    accepted: Mapping[str, Any] | None = None
    for form in CHAT_FORMS:
        answer = await _try(client, CHAT, {**base, "messages": begun, **form}, model, prefill=_BEGUN)
        if answer is None:
            continue
        accepted = form if accepted is None else accepted
        if answer.own_text.lstrip().startswith("("):
            return replace(abilities, chat_form=form, prefill=True)
    return replace(abilities, chat_form=accepted or {}, prefill=False)


async def _with_checked_seed(
    client: ServerClient, model: str, abilities: Abilities, generation: GenerationSettings, *, chat: bool
) -> Abilities:
    """Sample twice with the same seed; a server that takes seeds and does not use them is found out."""
    request = Request(key="seed", prompt="" if chat else _PROMPT, user=_MESSAGE if chat else None, max_new_tokens=16)
    texts = []
    for _ in range(2):
        call = call_of(request, 0, model=model, generation=generation, abilities=replace(abilities, prefill=False))
        await client.complete(call.path, call.body, call.answer)
        texts.append(call.answer.text)
    return replace(abilities, seed=texts[0] == texts[1])


async def _try(client: ServerClient, path: str, body: Json, model: str, prefill: str = "") -> Answer | None:
    """Return the answer; None where the server does not accept the request."""
    try:
        return await _ask(client, path, body, model, prefill)
    except RefusedError as error:
        if error.status in {401, 403}:
            raise
        return None


async def _ask(client: ServerClient, path: str, body: Json, model: str, prefill: str = "") -> Answer:
    answer = Answer(model=model, prefill=prefill)
    await client.complete(path, body, answer)
    return answer


def _notes(abilities: Abilities, forcing: Forcing | None, *, chat: bool, sampled: bool) -> Iterator[str]:
    if sampled and not abilities.seed:
        yield "the server draws no sample twice: seeds have no effect, and a rerun gives other completions"
    if not abilities.n_stops:
        yield "the server knows no stop strings: completions are cut here, and the tokens of cut ones are not known"
    elif abilities.n_stops <= FEW_STOPS:
        yield f"the server takes {FEW_STOPS} stop strings: others are searched here, and tokens are not known then"
    if not abilities.usage:
        yield "the server does not count tokens: lengths are not known, and a truncated prompt would not be noticed"
    if not abilities.neutral:
        yield "the server takes no top_k, min_p and repetition_penalty: those of its own apply"
    if chat and not abilities.prefill:
        yield "the server continues no begun reply: the code is taken out of whole replies"
    if forcing is None:
        yield NO_SCORES


def explain(error: EngineError, *, chat: bool) -> str:
    """Return why a server cannot be used for a run, with what to do."""
    other = "--qeval-prompt completion" if chat else "--qeval-prompt chat"
    kind = "chat" if chat else "plain completion"
    return f"{error} (it was asked for a {kind}; the other kind is {other})"
