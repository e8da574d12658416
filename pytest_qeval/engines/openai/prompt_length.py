"""Notice a prompt that the server has truncated: some do so in silence, and answer another question."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.openai.answer import Answer
from pytest_qeval.errors import EngineError

_DENSEST = 2.5
"""So many times as many characters a token as a piece of Python code: more than indentation or names make up."""
_SHORT = 400
"""Characters of a prompt that no server truncates, and whose tokens vary too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCheck:
    """Compares the tokens that a server has read with the prompt's length."""

    characters_per_token: float | None = None
    """As the server itself counts a piece of code; None where it does not count."""
    context_tokens: int | None = None
    """Of prompt and completion together; None where the server does not tell."""

    def check(self, request: Request, answer: Answer) -> None:
        """Make sure that the server has read the whole prompt.

        Raises:
            EngineError: when it has not.
        """
        read, length = answer.prompt_tokens, len(request.prompt) + len(request.user or "")
        if read is None:
            return
        if self.context_tokens is not None and read >= self.context_tokens:
            raise EngineError(
                f"the prompt fills the server's context of {self.context_tokens} tokens, so that part of it may be cut "
                "off: start the server with a longer context"
            )
        if self.characters_per_token is None or length < _SHORT:
            return
        least = length / (_DENSEST * self.characters_per_token)
        if read < least:
            raise EngineError(
                f"the server has read {read} tokens of a prompt of {length} characters, which should be {least:.0f} at "
                "least: it truncates prompts; start it with a longer context"
            )
