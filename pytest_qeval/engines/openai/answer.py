"""One answer as it is streamed: text, why it ended, tokens, times, and whether it is an answer at all."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_qeval.engines.openai.retries import TransientError, is_transient
from pytest_qeval.errors import EngineError
from pytest_qeval.schema import Completion, FinishReason, Json

END = "[DONE]"
"""The last event of a stream."""
_SHOWN = 120
_AT_LIMIT = ("length", "max_tokens")
_AT_END = ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_sequence_reached")
_BROKEN_OFF = ("abort", "aborted", "cancelled", "error")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class UnusableAnswerError(EngineError):
    """An answer that ended in a way that makes it no completion; the next one may be fine."""


class WrongModelError(EngineError):
    """Another model than the one that was asked for has answered; no further answer is of use."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """The answer to one request, as far as it is known."""

    model: str
    """The model that was asked for."""
    stops: Sequence[str] = ()
    prefill: str = ""
    """The beginning of the reply that was sent; some servers repeat it."""
    text: str = ""
    reason: FinishReason | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    chunks: int = 0
    """Pieces of text so far: about as many as tokens."""
    first_s: float | None = None
    """When the first of them came, in seconds after the request."""
    cut: bool = field(default=False, init=False)
    """Whether a stop string was found that the server did not stop at."""

    def restart(self) -> None:
        """Forget what was streamed, for another attempt; nothing of it is counted."""
        self.text, self.reason, self.chunks, self.cut = "", None, 0, False
        self.prompt_tokens = self.new_tokens = self.first_s = None

    def add(self, event: str, now_s: float) -> bool:
        """Take one event of the stream, `now_s` seconds after the request; return whether nothing more is needed.

        Raises:
            TransientError: for what is no JSON, no answer, or an error that may pass.
            EngineError: for an error that will not, and for another model's answer.
        """
        if event == END:
            return True
        chunk = _parsed(event)
        self._check_error(chunk)
        self._check_model(chunk)
        self._take_usage(chunk.get("usage"))
        choice = next((one for one in chunk.get("choices") or () if one.get("index", 0) == 0), None)
        if choice is not None and self.reason is None:  # what follows the end is no part of it
            self._take(choice, now_s)
        return self.cut

    def completion(self, duration_s: float) -> Completion:
        """Return the finished completion.

        Raises:
            TransientError: when the stream ended before the answer did.
        """
        if self.reason is None:
            raise TransientError("the stream ended in the middle of an answer")
        text = self.own_text
        cuts = [at for at in map(text.find, self.stops) if at >= 0]
        # A server that went on behind a stop string has counted tokens that are none of the completion's.
        went_on = bool(cuts) and text[min(cuts) :] not in self.stops
        return Completion(
            text=text[: min(cuts)] if cuts else text,
            n_tokens=None if self.cut or went_on else self.new_tokens,
            finish_reason="stop" if cuts else self.reason,
            ttft_s=self.first_s,
            duration_s=duration_s,
        )

    @property
    def own_text(self) -> str:
        """Return the text without a prefill that the server repeats."""
        repeats = self.prefill and self.text.startswith(self.prefill)
        return self.text[len(self.prefill) :] if repeats else self.text

    def _take(self, choice: Json, now_s: float) -> None:
        piece = _text_of(choice)
        if piece:
            self.first_s = now_s if self.first_s is None else self.first_s
            self.chunks += 1
            self.text += piece
        if finish := choice.get("finish_reason"):
            self.reason = self._reason_of(str(finish), choice)
        elif not self.prefill.startswith(self.text) and any(stop in self.own_text for stop in self.stops):
            self.reason, self.cut = "stop", True

    def _reason_of(self, finish: str, choice: Json) -> FinishReason:
        """Translate the server's words; most do not tell a stop string from the end of the sequence.

        Raises:
            TransientError: for an answer that was broken off.
            UnusableAnswerError: for one that ended for another reason.
        """
        if finish in _AT_LIMIT:
            return "length"
        if finish in _BROKEN_OFF:
            raise TransientError(f"the server broke the answer off ({finish})")
        if finish not in _AT_END:  # such as content_filter and tool_calls
            raise UnusableAnswerError(f"the answer is no completion: it ended by {finish!r}")
        if "stop_reason" in choice:  # vLLM and SGLang: the stop string, or null
            return "stop" if isinstance(choice["stop_reason"], str) else "eos"
        return "stop" if self.stops else "eos"

    def _take_usage(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self.prompt_tokens = _count(usage.get("prompt_tokens"), self.prompt_tokens)
            self.new_tokens = _count(usage.get("completion_tokens"), self.new_tokens)

    def _check_error(self, chunk: Json) -> None:
        error = chunk.get("error")
        if not error:
            return
        code = error.get("code") if isinstance(error, dict) else None
        message = f"the server reported an error: {message_of(chunk)}"
        if isinstance(code, int) and not is_transient(code):
            raise EngineError(message)
        raise TransientError(message)

    def _check_model(self, chunk: Json) -> None:
        found = chunk.get("model")
        if isinstance(found, str) and found and not is_same_model(self.model, found):
            raise WrongModelError(
                f"the server answered with the model {found!r}, and {self.model!r} was asked for: name the one that it "
                "serves, or another server."
            )


def is_same_model(asked: str, found: str) -> bool:
    """Return whether an answer's model is the one that was asked for: a path, a date or a version may be added."""
    short, other = (name.rpartition("/")[2].removesuffix(".gguf").lower() for name in (asked, found))
    if _HUB_ID.fullmatch(asked) and _HUB_ID.fullmatch(found) and asked.lower() != found.lower():
        return False  # of another owner
    return short == other or other.startswith((f"{short}-20", f"{short}:", f"{short}@"))


def message_of(chunk: Json) -> str:
    """Return what a server says of an error, on one line."""
    error = chunk.get("error") or chunk.get("detail") or chunk.get("message") or chunk
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text or error).split())[: 4 * _SHOWN]


def _parsed(event: str) -> Json:
    try:
        chunk = json.loads(event)
    except ValueError:
        chunk = None
    if not isinstance(chunk, dict) or not isinstance(chunk.get("choices") or [], list):
        raise TransientError(f"the server sent something else than an answer: {event[:_SHOWN]!r}")
    if not all(map(_is_choice, chunk.get("choices") or ())):
        raise TransientError(f"the server sent something else than an answer: {event[:_SHOWN]!r}")
    return chunk


def _is_choice(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(name), dict | None) for name in ("delta", "message"))


def _text_of(choice: Json) -> str:
    """Return the text of a choice: of a completion, a piece of a chat, or a whole message."""
    inner = choice.get("delta") or choice.get("message") or {}
    text = choice.get("text") if "text" in choice else inner.get("content")
    return text if isinstance(text, str) else ""


def _count(value: Any, before: int | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else before
