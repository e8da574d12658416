"""Repeat a fixed workload: read one prompt, or decode some tokens of one sequence or of several."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from transformers.generation.streamers import BaseStreamer

from pytest_qeval.engines.hf.continuous_batch import batch_model
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.errors import NoRoomError
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.quantize.kernels.row_blocks import undivided

Timer = Callable[[], tuple[float, ...]]


def prepare(language_model: LanguageModel, workload: Workload) -> Timer:
    """Return what does a workload once and times it: one prefill, or every step of greedy decoding.

    Prompts are fixed and pseudo-random. One sequence goes through the model's own cache. Several go through the
    continuous batch where the model can be decoded by it. What is decoded is prefilled here, once.

    Raises:
        NoRoomError: when prompt and new tokens exceed the model's context.
    """
    _check_room(language_model, workload.prompt_tokens, max(1, workload.new_tokens))
    model = language_model.model
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    ids = (torch.arange(workload.prompt_tokens, device=model.device) * 7919 + 11) % vocabulary
    rows, steps = ids.expand(workload.batch, -1), workload.new_tokens
    if getattr(model, "_is_stateful", False):
        return _prepare_generate(model, rows, steps)
    if workload.kind == "prefill":
        return lambda: _Sequences(language_model, rows).prefill()
    if workload.batch > 1 and not language_model.fallback_reason:
        return _prepare_batch(language_model, ids.tolist(), workload)
    sequences = _Sequences(language_model, rows)
    sequences.prefill()
    return lambda: sequences.copy().decode(steps)


def _check_room(language_model: LanguageModel, prompt_tokens: int, new_tokens: int) -> None:
    both, limit = language_model.encoder_decoder, context_length(language_model.model)
    if new_tokens <= language_model.completion_room(prompt_tokens):
        return
    if both:
        raise NoRoomError(
            f"{prompt_tokens} and {new_tokens} tokens do not fit in the {both.source_limit} positions of the model's "
            f"encoder and the {both.target_room} that its decoder has left."
        )
    raise NoRoomError(f"{prompt_tokens} + {new_tokens} tokens do not fit in the model's context of {limit}.")


class _Sequences:
    """Equally long sequences in the model's own cache.

    With an encoder, prefill is its pass together with the decoder's first step, which gives the first token.
    """

    def __init__(self, language_model: LanguageModel, ids: torch.Tensor) -> None:
        """Take prompts, [rows, tokens]."""
        self._model, self._ids, both = language_model.model, ids, language_model.encoder_decoder
        self._fed = torch.tensor([both.start] * len(ids), device=ids.device) if both else ids
        self._has_encoder = both is not None
        self._encoded: tuple[torch.Tensor, ...] | None = None
        self._cache: Any = language_model.new_cache()

    def copy(self) -> _Sequences:
        """Return sequences that grow on their own."""
        twin = copy.copy(self)
        with torch.inference_mode():
            twin._cache = copy.deepcopy(self._cache)  # noqa: SLF001 - its own
        return twin

    def prefill(self) -> tuple[float, ...]:
        """Read the prompts, and return the seconds."""
        with undivided():
            return (self._advance(),)

    def decode(self, steps: int) -> tuple[float, ...]:
        """Decode so many tokens, and return the seconds of each."""
        with undivided():
            return tuple(self._advance() for _ in range(steps))

    @torch.inference_mode()
    def _advance(self) -> float:
        """Do one forward pass; reading the tokens back is part of its time, and waits for the device."""
        started = time.perf_counter()
        if self._has_encoder:
            source = {"encoder_outputs": self._encoded} if self._encoded else {"input_ids": self._ids}
            output = self._model(**source, decoder_input_ids=self._fed, past_key_values=self._cache, use_cache=True)
            self._encoded = self._encoded or (output.encoder_last_hidden_state,)
        else:
            output = self._model(input_ids=self._fed, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        tokens = output.logits[:, -1].max(dim=-1).indices.tolist()
        seconds = time.perf_counter() - started
        self._cache, self._fed = output.past_key_values, torch.tensor(tokens, device=self._ids.device)[:, None]
        return seconds


def _prepare_batch(language_model: LanguageModel, ids: Sequence[int], workload: Workload) -> Timer:
    """Return what decodes rows of the continuous batch; every time behind the same prompts, over the last tokens."""
    model = batch_model(language_model, rows=workload.batch)
    (prompt,) = model.prefill([ids])
    for row in range(workload.batch):
        model.cache.place(row, prompt, capacity=prompt.length + workload.new_tokens)
    first = int(prompt.logits.max(dim=-1).indices)

    def decode() -> tuple[float, ...]:
        tokens, seconds = [first] * workload.batch, []
        for step in range(workload.new_tokens):
            started = time.perf_counter()
            logits = model.advance([prompt.length + step] * workload.batch, [[token] for token in tokens])
            tokens = logits[:, -1].max(dim=-1).indices.tolist()
            seconds.append(time.perf_counter() - started)
        return tuple(seconds)

    return decode


def _prepare_generate(model: Any, ids: torch.Tensor, steps: int) -> Timer:
    """Return what `generate` decodes: it alone knows where a recurrent model has its state."""
    return lambda: _time_generate(model, ids, steps + 1)[1:] if steps else _time_generate(model, ids, 1)


def _time_generate(model: Any, ids: torch.Tensor, new_tokens: int) -> tuple[float, ...]:
    """Return the seconds of the prefill, which gives the first token, and of every further token."""
    times = [time.perf_counter()]

    class Clock(BaseStreamer):  # type: ignore[misc] # untyped
        def put(self, value: torch.Tensor) -> None:
            """Note when a token is there; the first call brings the prompt."""
            del value
            times.append(time.perf_counter())

        def end(self) -> None:
            """Do nothing."""

    model.generate(ids, max_new_tokens=new_tokens, do_sample=False, eos_token_id=None, streamer=Clock())
    return tuple(later - earlier for earlier, later in pairwise(times[1:]))
