"""From requests to what vLLM takes: token ids, the same as those of the engine `transformers`, and when to stop."""

from __future__ import annotations

from typing import Any

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.hf.rows import TokenCodec


class Prompts:
    """Tokenizes prompts and solutions, and tells stop strings from special tokens."""

    def __init__(self, tokenizer: Any) -> None:
        """Take the model's tokenizer, of transformers."""
        self._tokenizer = tokenizer
        end = tokenizer.eos_token_id
        self._codec = TokenCodec(tokenizer, () if end is None else (end,))
        added = tokenizer.added_tokens_decoder.items()
        self._special = {str(token.content): int(token_id) for token_id, token in added if token.special}

    def encode(self, request: Request) -> list[int]:
        """Tokenize a prompt, through the chat template where it is a message.

        Raises:
            EngineError: when the template refuses.
        """
        return list(self._codec.encode_requests([request])[0])

    def stops(self, request: Request) -> dict[str, list[Any]]:
        """Return the arguments of `SamplingParams`: special tokens are in no text, and stop by their id."""
        ids = [self._special[stop] for stop in request.stops if stop in self._special]
        return {"stop": [stop for stop in request.stops if stop not in self._special], "stop_token_ids": ids}

    def encode_solution(self, prompt: str, solution: str) -> tuple[list[int], list[int]]:
        """Return the tokens of a prompt and its solution, as `engines.hf.scoring.tokenize_solution` does."""
        prompt_ids, whole = self._tokenizer([prompt, prompt + solution]).input_ids
        if whole[: len(prompt_ids)] == prompt_ids:
            return prompt_ids, whole[len(prompt_ids) :]
        return prompt_ids, self._tokenizer(solution, add_special_tokens=False).input_ids
