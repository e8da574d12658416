"""Time one sequence alone, prompt and each token: the latency that one user sees."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer

from pytest_qeval.engines.base import StreamTimes
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.errors import EngineError
from pytest_qeval.quantize.kernels.row_blocks import undivided


def measure_stream(language_model: LanguageModel, *, prompt_tokens: int, new_tokens: int, rounds: int) -> StreamTimes:
    """Time greedy decoding of a fixed pseudo-random prompt through the model's own cache, after one warm-up round.

    With an encoder, prefill is its pass together with the decoder's first step, which gives the first token.

    Raises:
        EngineError: when prompt and new tokens exceed the model's context.
    """
    _check_room(language_model, prompt_tokens, new_tokens)
    model = language_model.model
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    ids = (torch.arange(prompt_tokens, device=model.device) * 7919 + 11) % vocabulary
    with undivided():
        _time_round(language_model, ids[None], new_tokens)
        times = [_time_round(language_model, ids[None], new_tokens) for _ in range(rounds)]
    return StreamTimes(
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        prefill_s=tuple(one[0] for one in times),
        decode_s=tuple(seconds for one in times for seconds in one[1:]),
    )


def _check_room(language_model: LanguageModel, prompt_tokens: int, new_tokens: int) -> None:
    both, limit = language_model.encoder_decoder, context_length(language_model.model)
    if new_tokens <= language_model.completion_room(prompt_tokens):
        return
    if both:
        raise EngineError(
            f"{prompt_tokens} and {new_tokens} tokens do not fit in the {both.source_limit} positions of the model's "
            f"encoder and the {both.target_room} that its decoder has left."
        )
    raise EngineError(f"{prompt_tokens} + {new_tokens} tokens do not fit in the model's context of {limit}.")


@torch.inference_mode()
def _time_round(language_model: LanguageModel, ids: torch.Tensor, new_tokens: int) -> list[float]:
    """Return the seconds of every forward pass; reading the token back is part of each, and waits for the device."""
    model, encoder_decoder = language_model.model, language_model.encoder_decoder
    if getattr(model, "_is_stateful", False):
        return _time_generate(model, ids, new_tokens)
    fed = torch.tensor([encoder_decoder.start], device=ids.device) if encoder_decoder else ids
    encoded, cache, times = None, None, []
    for _ in range(new_tokens):
        started = time.perf_counter()
        if encoder_decoder:
            source = {"encoder_outputs": encoded} if encoded else {"input_ids": ids}
            output = model(**source, decoder_input_ids=fed, past_key_values=cache, use_cache=True)
            encoded = encoded or (output.encoder_last_hidden_state,)
        else:
            output = model(input_ids=fed, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = int(output.logits[0, -1].max(dim=-1).indices)
        times.append(time.perf_counter() - started)
        cache, fed = output.past_key_values, torch.tensor([[token]], device=ids.device)
    return times


def _time_generate(model: Any, ids: torch.Tensor, new_tokens: int) -> list[float]:
    """Return the seconds of every token of `generate`, which alone knows where a recurrent model has its state."""
    times = [time.perf_counter()]

    class Clock(BaseStreamer):  # type: ignore[misc] # untyped
        def put(self, value: torch.Tensor) -> None:
            """Note when a token is there; the first call brings the prompt."""
            del value
            times.append(time.perf_counter())

        def end(self) -> None:
            """Do nothing."""

    model.generate(ids, max_new_tokens=new_tokens, do_sample=False, eos_token_id=None, streamer=Clock())
    return [later - earlier for earlier, later in pairwise(times[1:])]
