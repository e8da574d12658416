"""Samples in the batch: what is left to generate, what has been generated, and when generation ends."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from operator import eq
from typing import Any

from pytest_qeval.engines.base import FinishedCompletion, Request
from pytest_qeval.engines.hf.drafts import Drafts
from pytest_qeval.engines.templates import render
from pytest_qeval.errors import EngineError
from pytest_qeval.schema import Completion, FinishReason

_TAIL_SLACK_TOKENS = 4
_LEAST_SHARED = 16
"""Tokens that prompts must share at least: attending to a beginning costs a little more than to a prompt's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSample:
    """A sample that is not finished yet: the i-th completion of a request."""

    request: Request
    index: int
    prompt_ids: tuple[int, ...]
    shared_tokens: int = 0
    """How many tokens the prompt begins with that other prompts may begin with, too; see `TokenCodec.count_shared`."""
    max_new_tokens: int
    """What the settings and the model's context length leave; 0 when the prompt fills the context."""

    @property
    def name(self) -> tuple[str, int]:
        """Request key and sample index: unique in the engine's lifetime."""
        return self.request.key, self.index


@dataclass(slots=True, kw_only=True)
class Row:
    """A sample in the batch. After an interruption the row is discarded and its sample starts again."""

    sample: PendingSample
    rng: random.Random
    drafts: Drafts
    admitted_at: float
    """`time.perf_counter` when its prefill began."""
    ids: list[int] = field(default_factory=list)
    """Generated tokens; the last one is not in the cache yet."""
    first_token_at: float = 0.0
    reason: FinishReason | None = None
    failure: str = ""
    """Why the model cannot go on with the row, as in `FailedCompletion.reason`."""

    @property
    def cached_tokens(self) -> int:
        """Tokens of this row in the key/value cache."""
        return len(self.sample.prompt_ids) + max(len(self.ids) - 1, 0)


class TokenCodec:
    """Turns prompts into tokens and tokens into completions; finds stop strings wherever token borders fall."""

    def __init__(self, tokenizer: Any, eos_ids: Sequence[int], *, encoder_decoder: bool = False) -> None:
        """Take a transformers tokenizer and the ids that end a sequence.

        With an encoder-decoder, a completion is a text of its own instead of a continuation of its prompt.
        """
        self._tokenizer = tokenizer
        self._continues_prompt = not encoder_decoder
        self._eos_ids = tuple(eos_ids)
        added = tokenizer.added_tokens_decoder.items()
        self._special = {str(token.content): int(token_id) for token_id, token in added if token.special}
        self._shared: dict[tuple[str, bool], tuple[int, ...]] = {}

    def encode(self, texts: Sequence[str], **options: bool) -> list[tuple[int, ...]]:
        """Tokenize texts exactly as they are; an empty one becomes the token that begins (or ends) a sequence."""
        if not texts:
            return []
        start = self._tokenizer.bos_token_id
        blank = (next(iter(self._eos_ids), 0) if start is None else start,)
        return [tuple(ids) or blank for ids in self._tokenizer(list(texts), **options).input_ids]

    def encode_completion(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Tokenize the text of a completion alone, if there is one: its tokens may differ where the prompt ends."""
        return tuple(self._tokenizer(texts[0], add_special_tokens=False).input_ids) if texts and texts[0] else ()

    def encode_requests(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
        """Tokenize prompts; for a user message the chat template decides about special tokens.

        Raises:
            EngineError: when a request has a user message and there is no usable chat template.
        """
        plain = [request.prompt for request in requests if request.user is None]
        chats = [render(self._tokenizer, one.user, one.prompt) for one in requests if one.user is not None]
        ids = {False: iter(self.encode(plain)), True: iter(self.encode(chats, add_special_tokens=False))}
        return [next(ids[request.user is not None]) for request in requests]

    def count_shared(self, request: Request, ids: Sequence[int]) -> int:
        """Return how many of a prompt's first tokens are those of the text that it shares; 0 where it is not worth it.

        Tokens count as far as they are those of the shared text alone: where it ends, a token may reach beyond it. In a
        chat the system's turn, and what comes before the user's message, belongs to it.
        """
        text = request.prompt if request.user is None else request.user
        if not (self._continues_prompt and text.startswith(request.shared)):
            return 0
        key = request.shared, request.user is not None
        if key not in self._shared:
            self._shared[key] = self._encode_shared(request)
        same = sum(1 for _ in takewhile(bool, map(eq, ids[:-1], self._shared[key])))
        return same if same >= _LEAST_SHARED else 0

    def _encode_shared(self, request: Request) -> tuple[int, ...]:
        if request.user is None:
            return self.encode([request.shared])[0]
        try:
            return self.encode_requests([replace(request, user=request.shared, prompt="")])[0]
        except EngineError:  # some templates refuse an empty message
            return ()

    def append(self, row: Row, token: int) -> FinishReason | None:
        """Append a token to a row and return why the row is finished by it, if it is."""
        if not row.ids:
            row.first_token_at = time.perf_counter()
        row.ids.append(token)
        row.reason = self._finish_reason(row, token)
        return row.reason

    def finish(self, row: Row) -> FinishedCompletion:
        """Make the completion of a finished row: decoded once as a whole, cut before the earliest stop string."""
        reason = row.reason or "length"
        ids = row.ids[:-1] if reason == "eos" else row.ids
        # sentencepiece drops a leading space, so the first generated token is decoded behind the prompt's last one that
        # has a text; a prompt to be filled in ends with a special token
        written = (one for one in reversed(row.sample.prompt_ids) if one not in self._special.values())
        anchor = tuple(islice(written, 1)) if self._continues_prompt else ()
        text = self._decode((*anchor, *ids))[len(self._decode(anchor)) :]
        cuts = [at for at in map(text.find, row.sample.request.stops) if at >= 0]
        completion = Completion(
            text=text[: min(cuts)] if cuts else text,
            n_tokens=len(row.ids),
            finish_reason=reason,
            ttft_s=row.first_token_at - row.admitted_at if row.ids else None,
            duration_s=time.perf_counter() - row.admitted_at,
        )
        return FinishedCompletion(key=row.sample.request.key, index=row.sample.index, completion=completion)

    def _finish_reason(self, row: Row, token: int) -> FinishReason | None:
        if token in self._eos_ids:
            return "eos"
        stops = row.sample.request.stops
        if stops and self._has_stop(row.ids, stops):
            return "stop"
        return "length" if len(row.ids) >= row.sample.max_new_tokens else None

    def _has_stop(self, ids: Sequence[int], stops: Sequence[str]) -> bool:
        """Search the tail only: a token is at least one byte of text, so a stop of b bytes lies in the last b tokens.

        The tail may begin inside a multi-byte character; the slack keeps such a broken character away from the stop.
        """
        if any(self._special.get(stop) == ids[-1] for stop in stops):
            return True  # a special token decodes to nothing, so the text would never show it
        longest = max(len(stop.encode()) for stop in stops)
        tail = self._decode(ids[-longest - _TAIL_SLACK_TOKENS :])
        return any(stop in tail for stop in stops)

    def _decode(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)
