"""Teacher-forced scores: a model's next-token distributions over given solutions, small enough to be kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from pytest_qeval.engines.hf.encoder_decoder import encoder_decoder_of
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.divergence import LogitsFunction, ScoredText, causal_logits, seq2seq_logits, solution_text
from pytest_qeval.measure.topk import DEFAULT_K, LEAST_RATIO, Scores, TextScores, digest, kept_log_prob

_CHUNK_ELEMENTS = 2**22
"""Logits per chunk: 16 MB in float32, 27 tokens of a vocabulary of 152 thousand."""


class TeacherForcing(NamedTuple):
    """How a model is run over solutions."""

    tokenize: Callable[[str, str], ScoredText]
    """Turns a prompt and its solution into the model's tokens."""
    logits: LogitsFunction


class _TopTokens(NamedTuple):
    """The tokens that are kept of each row, padded to the same number."""

    ids: torch.Tensor
    """[rows, k]; padding repeats the row's first token."""
    kept: torch.Tensor
    """[rows, k], false for padding."""


class _Rows(NamedTuple):
    """The scores of some rows of logits, as plain values."""

    choices: list[int]
    top_ids: list[tuple[int, ...]]
    top_log_probs: list[tuple[float, ...]]
    tail_log_probs: list[float]
    reference_log_probs: list[float]


def score(
    model: Any,
    tokenizer: Any,
    solutions: Sequence[tuple[str, str, str]],
    *,
    k: int = DEFAULT_K,
    against: Scores | None = None,
    new_cache: Callable[[], Any] = lambda: None,
) -> Scores:
    """Run a model over prompts with their solutions, and keep its distribution at each of a solution's tokens.

    Texts are run one at a time, so that a text's scores depend neither on other texts nor, for activations that are
    quantized per tensor, on padding. Only the solution's positions go through the output layer. See
    `ModelEngine.score`; without `against`, the `k` likeliest tokens are kept. `new_cache` is as in `causal_logits`.

    Raises:
        EngineError: when the model gives logits that are not finite.
    """
    started = time.perf_counter()
    forcing = teacher_forcing(model, tokenizer, new_cache)
    texts: dict[str, TextScores] = {}
    for task_id, prompt, solution in solutions:
        text = forcing.tokenize(prompt, solution)
        known = against.texts.get(task_id) if against else None
        if text.positions and (known.tokens_sha256 == _digest(text) if known else against is None):
            texts[task_id] = score_text(forcing.logits, text, task_id=task_id, k=k, known=known)
    return Scores(
        k=against.k if against else k,
        texts=texts,
        incomparable=tuple(task_id for task_id, _, _ in solutions if task_id not in texts),
        duration_s=time.perf_counter() - started,
    )


def teacher_forcing(model: Any, tokenizer: Any, new_cache: Callable[[], Any] = lambda: None) -> TeacherForcing:
    """Run solutions behind their prompts, or, with an encoder, through the decoder."""
    if encoder_decoder := encoder_decoder_of(model, tokenizer):
        return TeacherForcing(partial(encoder_decoder.tokenize_solution, tokenizer), seq2seq_logits(model))
    tokenize = partial(tokenize_solution, tokenizer, context=context_length(model))
    return TeacherForcing(tokenize, causal_logits(model, new_cache))


def score_text(
    logits: LogitsFunction, text: ScoredText, *, task_id: str, k: int = DEFAULT_K, known: TextScores | None = None
) -> TextScores:
    """Score a text with at least one position: the `k` likeliest tokens, or those `known` from the baseline's scores.

    Raises:
        EngineError: when a logit is not finite, or the vocabulary is smaller than the baseline's.
    """
    found = logits(text)
    if known and found.shape[-1] <= max(map(max, known.top_ids)):
        raise EngineError(
            f"{task_id}: the baseline has more tokens than the {found.shape[-1]} of this model's vocabulary: compare "
            "models with the same tokenizer."
        )
    references = torch.tensor([text.token_ids[at + 1] for at in text.positions], device=found.device)
    try:
        parts = list(_chunks(found, references, k, known))
    except ValueError as error:
        raise EngineError(
            f"{task_id}: the model's logits are not finite (NaN or inf), so it cannot be scored."
        ) from error
    joined = {name: tuple(x for part in parts for x in getattr(part, name)) for name in _Rows._fields}
    return TextScores(task_id=task_id, tokens_sha256=_digest(text), **joined)


def tokenize_solution(tokenizer: Any, prompt: str, solution: str, context: int) -> ScoredText:
    """Put a solution's tokens behind those of its prompt, which generation begins with, and cut at the context.

    The solution's tokens are taken from the whole text, so that the tokenizer begins no second sequence; they are
    encoded on their own where a token would span prompt and solution.
    """
    prompt_ids, whole = tokenizer([prompt, prompt + solution]).input_ids
    solution_ids = whole[len(prompt_ids) :]
    if whole[: len(prompt_ids)] != prompt_ids:
        solution_ids = tokenizer(solution, add_special_tokens=False).input_ids
    return solution_text(prompt_ids[:context], solution_ids[: max(0, context - len(prompt_ids))])


def _digest(text: ScoredText) -> str:
    return digest((*text.source_ids, *text.token_ids), len(text.source_ids) + text.counted.count(False))


@torch.inference_mode()
def _chunks(logits: torch.Tensor, references: torch.Tensor, k: int, known: TextScores | None) -> Iterator[_Rows]:
    """Score logits [tokens, vocabulary] a few rows at a time."""
    rows = max(1, _CHUNK_ELEMENTS // logits.shape[-1])
    for start in range(0, logits.shape[0], rows):
        own = logits[start : start + rows].to(torch.float32, copy=True)
        top = _pad_top_ids(known.top_ids[start : start + rows], own.device) if known else _choose_top(own, k)
        yield _score_rows(own, references[start : start + rows], top)


def _choose_top(logits: torch.Tensor, k: int) -> _TopTokens:
    """Choose the k likeliest tokens of each row, without those that are very unlikely."""
    values, ids = logits.topk(min(k, logits.shape[-1]))
    kept = values - values[:, :1] >= torch.tensor(LEAST_RATIO).log()
    kept[:, 0] = True  # also in a row of NaN, which `_score_rows` refuses
    return _TopTokens(ids=ids.where(kept, ids[:, :1]), kept=kept)


def _pad_top_ids(top_ids: Sequence[Sequence[int]], device: torch.device) -> _TopTokens:
    width = max(map(len, top_ids))
    ids = torch.tensor([[*row, *[row[0]] * (width - len(row))] for row in top_ids], device=device)
    lengths = torch.tensor([len(row) for row in top_ids], device=device)
    return _TopTokens(ids=ids, kept=torch.arange(width, device=device) < lengths[:, None])


def _score_rows(logits: torch.Tensor, references: torch.Tensor, top: _TopTokens) -> _Rows:
    """Score float32 logits [rows, vocabulary], which are overwritten.

    The tail, all tokens that are not kept, is summed up by itself, so that it is exact to seven digits however small it
    is; everything else is float64. A log-probability is off by 1e-6 at most (vocabulary of 152 thousand, torch 2.13),
    and is rounded to 5 decimals.

    Raises:
        ValueError: when a logit is NaN or +inf, or all of a row are -inf.
    """
    choices = logits.argmax(-1).tolist()
    reference = logits.gather(-1, references[:, None])[:, 0].double()
    values = logits.gather(-1, top.ids).double().masked_fill_(~top.kept, -torch.inf)
    tail = logits.scatter_(-1, top.ids, -torch.inf).logsumexp(-1).double()
    total = torch.logaddexp(values.logsumexp(-1), tail)
    if not total.isfinite().all():
        raise ValueError
    counts = top.kept.sum(-1).tolist()
    rows = zip(top.ids.tolist(), (values - total[:, None]).tolist(), counts, strict=True)
    kept = [(tuple(ids[:n]), tuple(map(kept_log_prob, log_probs[:n]))) for ids, log_probs, n in rows]
    return _Rows(
        choices=choices,
        top_ids=[ids for ids, _ in kept],
        top_log_probs=[log_probs for _, log_probs in kept],
        tail_log_probs=[kept_log_prob(value) for value in (tail - total).tolist()],
        reference_log_probs=[kept_log_prob(value) for value in (reference - total).tolist()],
    )
