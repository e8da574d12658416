"""The bodies of requests: what is asked of a server, as far as it can do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.openai.answer import Answer
from pytest_qeval.engines.sample_seed import seed_of
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings

COMPLETIONS, CHAT = "/completions", "/chat/completions"
NEUTRAL: Mapping[str, Any] = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Switch off what servers do unasked: llama-server samples from 40 tokens, and vLLM takes the penalty that a model's
`generation_config.json` names, even for greedy decoding."""
_CONTINUES: Mapping[str, Any] = {"add_generation_prompt": False, "continue_final_message": True}
_SILENT: Mapping[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}
CHAT_FORMS: tuple[Mapping[str, Any], ...] = ({**_CONTINUES, **_SILENT}, _CONTINUES, _SILENT, {})
"""How servers are told to continue a reply that is begun, and not to think; the best one first."""
FEW_STOPS = 4
"""Stop strings that the interface promises; many servers take more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a server can do, as the probe found it."""

    seed: bool = True
    n_stops: int = 10**6
    """Stop strings that a request may have; the others are searched here."""
    usage: bool = True
    """Whether streams end with the numbers of tokens."""
    neutral: bool = True
    """Whether it takes the settings of `NEUTRAL`."""
    chat_form: Mapping[str, Any] = field(default_factory=dict)
    """One of `CHAT_FORMS`."""
    prefill: bool = True
    """Whether it continues a reply that is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it is sent."""

    path: str
    body: Json
    answer: Answer
    """Empty; takes what is streamed."""


def call_of(request: Request, index: int, *, model: str, generation: GenerationSettings, abilities: Abilities) -> Call:
    """Return what is sent for one sample of a request.

    A chat whose reply cannot be begun has no stop strings: they end a block of code that the prefill opens.
    """
    chat = request.user is not None
    whole = chat and not abilities.prefill
    stops = () if whole else request.stops
    greedy = not generation.temperature
    body: Json = {
        "model": model,
        "max_tokens": min(generation.max_new_tokens, request.max_new_tokens or generation.max_new_tokens),
        "temperature": generation.temperature,
        "stream": True,
        **({} if greedy else {"top_p": generation.top_p}),
        **(NEUTRAL if abilities.neutral else {}),
        **({"stream_options": {"include_usage": True}} if abilities.usage else {}),
        **({"stop": list(stops[: abilities.n_stops])} if stops and abilities.n_stops else {}),
        **({"seed": seed_of(request, index, generation)} if abilities.seed and not greedy else {}),
    }
    if not chat:
        return Call(path=COMPLETIONS, body={**body, "prompt": request.prompt}, answer=Answer(model=model, stops=stops))
    messages = [{"role": "user", "content": request.user}]
    if not whole:
        messages.append({"role": "assistant", "content": request.prompt})
    form = {name: value for name, value in abilities.chat_form.items() if not whole or name not in _CONTINUES}
    answer = Answer(model=model, stops=stops, prefill="" if whole else request.prompt)
    return Call(path=CHAT, body={**body, "messages": messages, **form}, answer=answer)
