"""One sequence alone: how long its prompt takes, and then each token; what somebody at a keyboard would wait for."""

from __future__ import annotations

import time
from typing import Any

import torch

from pytest_qeval.engines.base import StreamTimes
from pytest_qeval.engines.forward import context_length
from pytest_qeval.errors import EngineError

__all__ = ["measure_stream"]


def measure_stream(model: Any, *, prompt_tokens: int, new_tokens: int, rounds: int) -> StreamTimes:
    """Time greedy decoding of a fixed pseudo-random prompt through the model's own cache, after one warm-up round.

    Raises:
        EngineError: when prompt and new tokens exceed the model's context.
    """
    limit = context_length(model)
    if prompt_tokens + new_tokens > limit:
        raise EngineError(f"{prompt_tokens} + {new_tokens} tokens do not fit in the model's context of {limit}.")
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    ids = (torch.arange(prompt_tokens, device=model.device) * 7919 + 11) % vocabulary
    _one_round(model, ids[None], new_tokens)
    prefill_s, decode_s = [], []
    for _ in range(rounds):
        first, *rest = _one_round(model, ids[None], new_tokens)
        prefill_s.append(first)
        decode_s.extend(rest)
    return StreamTimes(
        prompt_tokens=prompt_tokens, new_tokens=new_tokens, prefill_s=tuple(prefill_s), decode_s=tuple(decode_s)
    )


@torch.inference_mode()
def _one_round(model: Any, ids: torch.Tensor, new_tokens: int) -> list[float]:
    """Give the seconds of every forward pass; reading the token back is part of each, and waits for the device."""
    cache, times = None, []
    for _ in range(new_tokens):
        started = time.perf_counter()
        output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = int(output.logits[0, -1].max(dim=-1).indices)
        times.append(time.perf_counter() - started)
        cache, ids = output.past_key_values, torch.tensor([[token]], device=ids.device)
    return times
