"""One sample on its way: what it was asked, what it has generated, and when it is over."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_qeval.engines.base import Finished, Request
from pytest_qeval.engines.hf.drafting import Drafter
from pytest_qeval.engines.templates import render
from pytest_qeval.schema import Completion, FinishReason

__all__ = ["Row", "Text", "Unit"]

_TAIL_SLACK_TOKENS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One sample that is still owed: the i-th completion of a request."""

    request: Request
    index: int
    prompt_ids: tuple[int, ...]
    max_new_tokens: int
    """What the settings and the model's context length leave; 0 when the prompt fills the context."""

    @property
    def name(self) -> tuple[str, int]:
        """Request key and sample index: unique in the engine's lifetime."""
        return self.request.key, self.index


@dataclass(slots=True, kw_only=True)
class Row:
    """A unit in the batch. The one mutable value here; a row that is interrupted is thrown away, its unit is not."""

    unit: Unit
    rng: random.Random
    drafter: Drafter
    admitted_at: float
    """`time.perf_counter` when its prefill began."""
    ids: list[int] = field(default_factory=list)
    """Generated tokens; the last one is not in the cache yet."""
    first_token_at: float = 0.0
    reason: FinishReason | None = None

    @property
    def cached_tokens(self) -> int:
        """How many tokens of this row the key/value cache holds."""
        return len(self.unit.prompt_ids) + max(len(self.ids) - 1, 0)


class Text:
    """Tokens to text, and when generation has to end: stop strings are found wherever token borders fall."""

    def __init__(self, tokenizer: Any, eos_ids: Sequence[int], *, apart: bool = False) -> None:
        """Take a transformers tokenizer, the ids that end a sequence, and whether completions stand by themselves.

        They do where prompts go to an encoder; elsewhere a completion's text goes on where its prompt ends.
        """
        self._tokenizer = tokenizer
        self._apart = apart
        self._eos_ids = frozenset(eos_ids)
        added = tokenizer.added_tokens_decoder.items()
        self._special = {str(token.content): int(token_id) for token_id, token in added if token.special}

    def encode(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """Tokenize prompts exactly as they are; an empty one becomes the token that begins (or ends) a sequence."""
        return self._tokenize(prompts)

    def ask(self, requests: Sequence[Request]) -> list[tuple[int, ...]]:
        """Tokenize what requests ask; where that is a message, the chat template says which special tokens there are.

        Raises:
            EngineError: when a message is to be asked, and there is no chat template that can say it.
        """
        texts = [
            request.prompt if request.user is None else render(self._tokenizer, request.user, request.prompt)
            for request in requests
        ]
        plain = [text for text, request in zip(texts, requests, strict=True) if request.user is None]
        chats = [text for text, request in zip(texts, requests, strict=True) if request.user is not None]
        ids = {False: iter(self._tokenize(plain)), True: iter(self._tokenize(chats, add_special_tokens=False))}
        return [next(ids[request.user is not None]) for request in requests]

    def _tokenize(self, texts: Sequence[str], **how: bool) -> list[tuple[int, ...]]:
        if not texts:
            return []
        start = self._tokenizer.bos_token_id
        blank = (next(iter(self._eos_ids), 0) if start is None else start,)
        return [tuple(ids) or blank for ids in self._tokenizer(list(texts), **how).input_ids]

    def append(self, row: Row, token: int) -> FinishReason | None:
        """Append a token to a row and say whether, and why, the row is finished by it."""
        if not row.ids:
            row.first_token_at = time.perf_counter()
        row.ids.append(token)
        row.reason = self._reason(row, token)
        return row.reason

    def finish(self, row: Row) -> Finished:
        """Make the completion of a finished row: decoded once as a whole, cut before the earliest stop string."""
        ended = row.reason or "length"
        ids = row.ids[:-1] if ended == "eos" else row.ids
        # sentencepiece drops a leading space, so the prompt's last token keeps the first generated one company
        anchor = () if self._apart else row.unit.prompt_ids[-1:]
        text = self._decode((*anchor, *ids))[len(self._decode(anchor)) :]
        cuts = [at for at in map(text.find, row.unit.request.stops) if at >= 0]
        now = time.perf_counter()
        completion = Completion(
            text=text[: min(cuts)] if cuts else text,
            n_tokens=len(row.ids),
            finish_reason=ended,
            ttft_s=row.first_token_at - row.admitted_at if row.ids else None,
            duration_s=now - row.admitted_at,
        )
        return Finished(key=row.unit.request.key, index=row.unit.index, completion=completion)

    def _reason(self, row: Row, token: int) -> FinishReason | None:
        if token in self._eos_ids:
            return "eos"
        stops = row.unit.request.stops
        if stops and self._stopped(row.ids, stops):
            return "stop"
        return "length" if len(row.ids) >= row.unit.max_new_tokens else None

    def _stopped(self, ids: Sequence[int], stops: Sequence[str]) -> bool:
        """Look at the tail only. A token is at least one byte of text, so a stop of b bytes lies in the last b tokens.

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
