"""One sequence alone: how long its prompt takes, and then each token; what somebody at a keyboard would wait for."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch

from pytest_qeval.engines.base import StreamTimes
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.seq2seq import Sides
from pytest_qeval.errors import EngineError

__all__ = ["measure_stream"]


def measure_stream(
    model: Any, *, prompt_tokens: int, new_tokens: int, rounds: int, sides: Sides | None = None
) -> StreamTimes:
    """Time greedy decoding of a fixed pseudo-random prompt through the model's own cache, after one warm-up round.

    With an encoder, prefill is its pass together with the decoder's first step, which gives the first token.

    Raises:
        EngineError: when prompt and new tokens exceed the model's context.
    """
    _check_room(model, prompt_tokens, new_tokens, sides)
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    ids = (torch.arange(prompt_tokens, device=model.device) * 7919 + 11) % vocabulary
    one_round = partial(_one_two_sided_round, start=sides.start) if sides else _one_round
    one_round(model, ids[None], new_tokens)
    prefill_s, decode_s = [], []
    for _ in range(rounds):
        first, *rest = one_round(model, ids[None], new_tokens)
        prefill_s.append(first)
        decode_s.extend(rest)
    return StreamTimes(
        prompt_tokens=prompt_tokens, new_tokens=new_tokens, prefill_s=tuple(prefill_s), decode_s=tuple(decode_s)
    )


def _check_room(model: Any, prompt_tokens: int, new_tokens: int, sides: Sides | None) -> None:
    if sides and (prompt_tokens > sides.source_limit or new_tokens > sides.target_room):
        raise EngineError(
            f"{prompt_tokens} and {new_tokens} tokens do not fit in the {sides.source_limit} positions of the model's "
            f"encoder and the {sides.target_room} that its decoder has left."
        )
    limit = context_length(model)
    if not sides and prompt_tokens + new_tokens > limit:
        raise EngineError(f"{prompt_tokens} + {new_tokens} tokens do not fit in the model's context of {limit}.")


@torch.inference_mode()
def _one_two_sided_round(model: Any, ids: torch.Tensor, new_tokens: int, start: tuple[int, ...]) -> list[float]:
    """Return the seconds of every forward pass as `_one_round` does; only the first one encodes."""
    encoded, cache, times = None, None, []
    said = torch.tensor([start], device=ids.device)
    for _ in range(new_tokens):
        started = time.perf_counter()
        given = {"input_ids": ids} if encoded is None else {"encoder_outputs": encoded}
        output = model(**given, decoder_input_ids=said, past_key_values=cache, use_cache=True)
        token = int(output.logits[0, -1].max(dim=-1).indices)
        times.append(time.perf_counter() - started)
        encoded = encoded or (output.encoder_last_hidden_state,)
        cache, said = output.past_key_values, torch.tensor([[token]], device=ids.device)
    return times


@torch.inference_mode()
def _one_round(model: Any, ids: torch.Tensor, new_tokens: int) -> list[float]:
    """Return the seconds of every forward pass; reading the token back is part of each, and waits for the device."""
    cache, times = None, []
    for _ in range(new_tokens):
        started = time.perf_counter()
        output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = int(output.logits[0, -1].max(dim=-1).indices)
        times.append(time.perf_counter() - started)
        cache, ids = output.past_key_values, torch.tensor([[token]], device=ids.device)
    return times
