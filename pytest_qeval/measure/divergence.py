"""How far a candidate's next-token distributions are from the baseline's, on the same text.

Completions of two models can agree by luck and differ by a comma; distributions over given text show what quantization
did to every token, with thousands of observations from a few problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

_CHUNK_ELEMENTS = 2**22
"""Logits at a time: 32 MB in float64, 27 positions of a vocabulary of 152 thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredText:
    """Tokens that both models read, and which of them count."""

    token_ids: tuple[int, ...]
    counted: tuple[bool, ...]
    """Per token: whether its prediction counts. The first token is not predicted and never counts."""
    source_ids: tuple[int, ...] = ()
    """Tokens of the encoder, while `token_ids` are the decoder's; empty without an encoder."""

    @property
    def positions(self) -> tuple[int, ...]:
        """Positions of the predictions that count: one before each counted token."""
        return tuple(index - 1 for index, counts in enumerate(self.counted) if counts and index > 0)


LogitsFunction = Callable[[ScoredText], torch.Tensor]
"""Returns logits `[len(text.positions), vocabulary]`: a model's prediction at each of a text's positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The divergence of a candidate from its baseline, as sums over tokens."""

    total_kl: float
    """Nats."""
    n_same_top1: int
    n_tokens: int

    @classmethod
    def total(cls, parts: Iterable[Divergence]) -> Divergence:
        """Add up the divergences over several texts, so that every token weighs the same."""
        parts = tuple(parts)
        return cls(
            total_kl=sum(part.total_kl for part in parts),
            n_same_top1=sum(part.n_same_top1 for part in parts),
            n_tokens=sum(part.n_tokens for part in parts),
        )

    @property
    def mean_kl(self) -> float:
        """Mean Kullback-Leibler divergence in nats per token, at least 0; NaN without tokens or with NaN logits."""
        return self.total_kl / self.n_tokens if self.n_tokens else float("nan")

    @property
    def same_top1(self) -> float:
        """Share of predictions whose most likely token is the baseline's, 0 to 1; NaN without tokens."""
        return self.n_same_top1 / self.n_tokens if self.n_tokens else float("nan")


def compare_logits(baseline: torch.Tensor, candidate: torch.Tensor) -> Divergence:
    """Compare logits `[positions, vocabulary]` of two models at the same positions.

    KL(p ‖ q) = Σ_v p_v (log p_v - log q_v) with p the baseline's and q the candidate's softmax, in float64 (Kullback
    and Leibler, "On information and sufficiency", 1951; as a measure of quantization: Dutta et al., arXiv 2407.09141,
    whose "flips" are seen here as top-1 choices that changed). Rows are taken a few at a time.
    """
    total, same = 0.0, 0
    rows = max(1, _CHUNK_ELEMENTS // max(1, baseline.shape[-1]))
    for start in range(0, baseline.shape[0], rows):
        p, q = baseline[start : start + rows], candidate[start : start + rows]
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        log_p = p.to(torch.float64).log_softmax(-1)
        log_ratio = log_p - q.to(torch.float64).log_softmax(-1)
        # A token that the baseline excludes (logit -inf) contributes 0, the limit of x log x.
        total += float((log_p.exp() * log_ratio.masked_fill_(log_p == -torch.inf, 0.0)).sum())
    return Divergence(total_kl=total, n_same_top1=same, n_tokens=baseline.shape[0])


def causal_logits(model: Any, new_cache: Callable[[], Any] = lambda: None) -> LogitsFunction:
    """Adapt a Hugging Face causal language model; only the wanted positions go through its output layer.

    A whole text is read at once. Attention reads its keys and values from what `new_cache` makes, if that is not None,
    such as a cache that rounds them. A model that ignores `logits_to_keep` returns logits everywhere, of which the
    wanted ones are taken.
    """

    @torch.inference_mode()
    def logits(text: ScoredText) -> torch.Tensor:
        ids, positions = (torch.tensor(values, device=model.device) for values in (text.token_ids, text.positions))
        cache = new_cache()
        arguments = {"use_cache": False} if cache is None else {"use_cache": True, "past_key_values": cache}
        result: torch.Tensor = model(ids[None], **arguments, logits_to_keep=positions).logits[0]
        return result if result.shape[0] == positions.shape[0] else result[positions]

    return logits


def seq2seq_logits(model: Any) -> LogitsFunction:
    """Adapt a Hugging Face encoder-decoder: the encoder reads the source, the decoder the tokens."""

    @torch.inference_mode()
    def logits(text: ScoredText) -> torch.Tensor:
        source, target = (torch.tensor([ids], device=model.device) for ids in (text.source_ids, text.token_ids))
        result: torch.Tensor = model(input_ids=source, decoder_input_ids=target, use_cache=False).logits[0]
        return result[torch.tensor(text.positions, device=model.device)]

    return logits


def solution_text(prompt_ids: Sequence[int], solution_ids: Sequence[int]) -> ScoredText:
    """Join a prompt and its solution; the solution's tokens count."""
    counted = (False,) * len(prompt_ids) + (True,) * len(solution_ids)
    return ScoredText(token_ids=(*prompt_ids, *solution_ids), counted=counted)
