"""How servers score tokens that they are given (teacher forcing): the requests, and what is read of the answers.

OpenAI's interface has no way that many servers share: `echo` with `logprobs` gives texts of tokens instead of their
ids, which cannot be matched to those of another engine, and llama-server refuses it. Two servers have ways of their
own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_qeval.engines.listed_scores import LISTED, TokenRow
from pytest_qeval.engines.openai.client import ServerClient
from pytest_qeval.engines.openai.request_body import COMPLETIONS
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.topk import DEFAULT_K
from pytest_qeval.schema import Json

_PIECE = 64
"""Tokens that llama-server decodes in one request."""
_VLLM_LISTED = (LISTED, DEFAULT_K, 20, 5)
"""vLLM lists `--max-logprobs` tokens at most, by default 20; what is above that is refused."""
NO_SCORES = "the server scores no text that it is given, as llama-server and vLLM do: its divergence is not measured"
Tokens = Sequence[int]
_TEXT = "def add_numbers(first, second):\n    return first + second\n"


class Forcing(Protocol):
    """A way to have given tokens scored."""

    @property
    def listed(self) -> int:
        """How many of the likeliest tokens the server lists at each position."""
        ...

    async def tokenize(self, client: ServerClient, text: str, *, special: bool = True) -> list[int]:
        """Return a text's tokens; `special` begins a sequence, where the model has a token for that."""
        ...

    async def score(
        self, client: ServerClient, prompt: Sequence[int], solution: Sequence[int]
    ) -> list[TokenRow] | None:
        """Return a row for each token of a solution behind its prompt; None where the server has left tokens out."""
        ...


async def find_forcing(client: ServerClient, model: str, software: str) -> Forcing | None:
    """Try the way of a server's software on a line of code; None where there is none, or it does not work."""
    ways: Sequence[Forcing] = ()
    if software.startswith("llama.cpp"):
        ways = [LlamaForcing()]
    elif software.startswith("vLLM"):
        ways = [VllmForcing(model=model, listed=listed) for listed in _VLLM_LISTED]
    for way in ways:
        if await _works(client, way):
            return way
    return None


async def _works(client: ServerClient, way: Forcing) -> bool:
    try:
        tokens = await way.tokenize(client, _TEXT)
        return bool(await way.score(client, tokens[:4], tokens[4:8]))
    except EngineError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaForcing:
    """llama-server: a grammar that allows one token at each position, and `n_probs`.

    The probabilities are those of the plain softmax, before any sampler and the grammar. A solution is decoded token by
    token as completions are, in pieces, so that no answer takes longer than a busy server is waited for. No earlier
    prompt is reused: a text's scores do not depend on what was asked before.
    """

    listed: int = LISTED

    async def tokenize(self, client: ServerClient, text: str, *, special: bool = True) -> list[int]:
        """See `Forcing`."""
        body = {"content": text, "add_special": special, "parse_special": True}
        return _tokens(await client.post("/tokenize", body, root=True))

    async def score(
        self, client: ServerClient, prompt: Sequence[int], solution: Sequence[int]
    ) -> list[TokenRow] | None:
        """See `Forcing`; llama-server leaves tokens out that end in the middle of a character."""
        rows: list[TokenRow] = []
        for start in range(0, len(solution), _PIECE):
            piece = solution[start : start + _PIECE]
            found = await self._score_piece(client, [*prompt, *solution[:start]], piece)
            if found is None:
                return None
            rows += found
        return rows

    async def _score_piece(self, client: ServerClient, prompt: Tokens, solution: Tokens) -> list[TokenRow] | None:
        body: Json = {
            "prompt": list(prompt),
            "n_predict": len(solution),
            "n_probs": self.listed,
            "grammar": f"root ::= {' '.join(f'<[{token}]>' for token in solution)}",
            "temperature": 0.0,
            "top_k": 1,
            "cache_prompt": False,
            "stream": False,
            "response_fields": ["completion_probabilities"],
        }
        answer = await client.post("/completion", body, root=True)
        with _reading():
            found = answer["completion_probabilities"]
            if [one["id"] for one in found] != list(solution):
                return None
            return [_row({one["id"]: one["logprob"] for one in each["top_logprobs"]}, each) for each in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmForcing:
    """vLLM: `prompt_logprobs`, which reads prompt and solution at once."""

    model: str
    listed: int

    async def tokenize(self, client: ServerClient, text: str, *, special: bool = True) -> list[int]:
        """See `Forcing`."""
        body = {"model": self.model, "prompt": text, "add_special_tokens": special}
        return _tokens(await client.post("/tokenize", body, root=True))

    async def score(
        self, client: ServerClient, prompt: Sequence[int], solution: Sequence[int]
    ) -> list[TokenRow] | None:
        """See `Forcing`."""
        body: Json = {
            "model": self.model,
            "prompt": [*prompt, *solution],
            "max_tokens": 1,
            "temperature": 0.0,
            "prompt_logprobs": self.listed,
        }
        answer = await client.post(COMPLETIONS, body)
        with _reading():
            rows = answer["choices"][0]["prompt_logprobs"]
            pairs = zip(solution, rows[len(prompt) :], strict=True)
            return [
                _row({int(key): one["logprob"] for key, one in row.items()}, row[str(token)]) for token, row in pairs
            ]


def _row(log_probs: Mapping[int, float], given: Mapping[str, Any]) -> TokenRow:
    """Make a row of what a server has listed.

    Raises:
        ValueError: when a log-probability is no number.
    """
    values = [*log_probs.values(), given["logprob"]]
    if not log_probs or not all(isinstance(value, int | float) and not math.isnan(value) for value in values):
        raise ValueError
    return TokenRow(log_probs=log_probs, reference=given["logprob"])


def _tokens(answer: Json) -> list[int]:
    found = answer.get("tokens")
    if not isinstance(found, list) or not all(isinstance(one, int) for one in found):
        raise EngineError("the server gives no ids of tokens")
    return found


@contextmanager
def _reading() -> Iterator[None]:
    """Say in words that an answer holds something else than log-probabilities.

    Raises:
        EngineError: instead of the exceptions of what is not there.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise EngineError("the server's answer holds no log-probabilities of the tokens that it was given") from error
