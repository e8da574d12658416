"""Scoring: what a model thinks of given solutions, token by token, in a form that is small enough to be kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.seq2seq import sides_of
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.divergence import LogitsFunction, ScoredText, causal_logits, seq2seq_logits, solution_text
from pytest_qeval.measure.topk import DEFAULT_K, Scores, TextScores, digest, kept_log_prob

__all__ = ["Teacher", "score", "score_text", "solved_text", "teacher_of"]

_CHUNK_ELEMENTS = 2**22
"""Logits at a time: 16 MB in float32, 27 tokens of a vocabulary of 152 thousand."""
_LEAST_RATIO = 1e-5
"""A token this much less likely than the likeliest is left to the lump, whatever k is."""


class Teacher(NamedTuple):
    """How a model is shown solutions."""

    text: Callable[[str, str], ScoredText]
    """Puts a prompt and its solution into the model's tokens."""
    logits: LogitsFunction


class _Likeliest(NamedTuple):
    """Which tokens of each row are told apart: ids [rows, k], and which of them count."""

    ids: torch.Tensor
    """Where one does not count, the row's first stands in for it."""
    counts: torch.Tensor


class _Rows(NamedTuple):
    """What is kept of some rows of logits, as plain values."""

    choices: list[int]
    top_ids: list[tuple[int, ...]]
    top_log_probs: list[tuple[float, ...]]
    tail_log_probs: list[float]
    reference_log_probs: list[float]


def score(
    model: Any,
    tokenizer: Any,
    solved: Sequence[tuple[str, str, str]],
    *,
    k: int = DEFAULT_K,
    against: Scores | None = None,
) -> Scores:
    """Show a model prompts with their solutions, and keep what it would have said at each of a solution's tokens.

    One text at a time: a text's scores depend neither on the company that it is in nor, for activations that are
    quantized per tensor, on padding. Only the solution's positions go through the output layer.

    Args:
        model: A Hugging Face model.
        tokenizer: Its tokenizer.
        solved: Task id, prompt and solution of each problem.
        k: Tokens to keep of a distribution; not used with `against`.
        against: A baseline's scores, about whose tokens the model is asked instead of its own likeliest.

    Raises:
        EngineError: when the model gives logits that are no numbers.
    """
    started = time.perf_counter()
    teacher = teacher_of(model, tokenizer)
    texts: dict[str, TextScores] = {}
    for task_id, prompt, solution in solved:
        text = teacher.text(prompt, solution)
        known = against.texts.get(task_id) if against else None
        if text.positions and (known.tokens_sha256 == _digest(text) if known else against is None):
            texts[task_id] = score_text(teacher.logits, text, task_id=task_id, k=k, known=known)
    return Scores(
        k=against.k if against else k,
        texts=texts,
        incomparable=tuple(task_id for task_id, _, _ in solved if task_id not in texts),
        duration_s=time.perf_counter() - started,
    )


def teacher_of(model: Any, tokenizer: Any) -> Teacher:
    """Show solutions behind their prompts, or, where there is an encoder for prompts, to the decoder."""
    device = str(model.device)
    if sides := sides_of(model, tokenizer):
        return Teacher(partial(sides.solved, tokenizer), seq2seq_logits(model, device=device))
    text = partial(solved_text, tokenizer, context=context_length(model))
    return Teacher(text, causal_logits(model, device=device))


def score_text(
    logits: LogitsFunction, text: ScoredText, *, task_id: str, k: int = DEFAULT_K, known: TextScores | None = None
) -> TextScores:
    """Score one text.

    Args:
        logits: The model.
        text: With at least one position.
        task_id: Names the text.
        k: Tokens to keep of a distribution; not used with `known`.
        known: The baseline's scores of this text, about whose tokens the model is asked.

    Raises:
        EngineError: when a logit is no number, or the vocabulary is not the baseline's.
    """
    said = logits(text)
    if known and said.shape[-1] <= max(map(max, known.top_ids)):
        raise EngineError(
            f"{task_id}: the baseline knows more tokens than the {said.shape[-1]} of this model, which is another one."
        )
    references = torch.tensor([text.token_ids[at + 1] for at in text.positions], device=said.device)
    try:
        parts = list(_chunks(said, references, k, known))
    except ValueError as error:
        raise EngineError(f"{task_id}: the model's logits are no numbers (NaN or inf), so nothing follows.") from error
    joined = {name: tuple(x for part in parts for x in getattr(part, name)) for name in _Rows._fields}
    return TextScores(task_id=task_id, tokens_sha256=_digest(text), **joined)


def solved_text(tokenizer: Any, prompt: str, solution: str, context: int) -> ScoredText:
    """Put a solution behind its prompt, whose tokens are those that generation begins with, and cut at the context.

    The solution's own are taken from the text as a whole, where no sequence begins a second time; not where a token
    would reach over the border.
    """
    asked, whole = tokenizer([prompt, prompt + solution]).input_ids
    after = whole[len(asked) :]
    if whole[: len(asked)] != asked:
        after = tokenizer(solution, add_special_tokens=False).input_ids
    return solution_text(asked[:context], after[: max(0, context - len(asked))])


def _digest(text: ScoredText) -> str:
    return digest((*text.source_ids, *text.token_ids), len(text.source_ids) + text.counted.count(False))


@torch.inference_mode()
def _chunks(logits: torch.Tensor, references: torch.Tensor, k: int, known: TextScores | None) -> Iterator[_Rows]:
    """Look at logits [tokens, vocabulary] a few rows at a time."""
    rows = max(1, _CHUNK_ELEMENTS // logits.shape[-1])
    for start in range(0, logits.shape[0], rows):
        own = logits[start : start + rows].to(torch.float32, copy=True)
        top = _padded(known.top_ids[start : start + rows], own.device) if known else _likeliest(own, k)
        yield _look(own, references[start : start + rows], top)


def _likeliest(logits: torch.Tensor, k: int) -> _Likeliest:
    """Choose the k likeliest tokens of each row, without those that hardly ever follow."""
    values, ids = logits.topk(min(k, logits.shape[-1]))
    counts = values - values[:, :1] >= torch.tensor(_LEAST_RATIO).log()
    counts[:, 0] = True  # also where nothing can be compared, for which `_look` finds the words
    return _Likeliest(ids=ids.where(counts, ids[:, :1]), counts=counts)


def _padded(top_ids: Sequence[Sequence[int]], device: torch.device) -> _Likeliest:
    width = max(map(len, top_ids))
    ids = torch.tensor([[*row, *[row[0]] * (width - len(row))] for row in top_ids], device=device)
    lengths = torch.tensor([len(row) for row in top_ids], device=device)
    return _Likeliest(ids=ids, counts=torch.arange(width, device=device) < lengths[:, None])


def _look(logits: torch.Tensor, references: torch.Tensor, top: _Likeliest) -> _Rows:
    """Take what is kept from float32 logits [rows, vocabulary], which are overwritten.

    The lump is summed up by itself, so that it is exact to seven digits however small it is; the rest is float64. A
    log-probability is off by 1e-6 at most (vocabulary of 152 thousand, torch 2.13), and is rounded to 5 decimals.

    Raises:
        ValueError: when a logit is NaN or +inf, or all of a row are -inf.
    """
    choices = logits.argmax(-1).tolist()
    wanted = logits.gather(-1, references[:, None])[:, 0].double()
    values = logits.gather(-1, top.ids).double().masked_fill_(~top.counts, -torch.inf)
    rest = logits.scatter_(-1, top.ids, -torch.inf).logsumexp(-1).double()
    total = torch.logaddexp(values.logsumexp(-1), rest)
    if not total.isfinite().all():
        raise ValueError
    counts = top.counts.sum(-1).tolist()
    rows = zip(top.ids.tolist(), (values - total[:, None]).tolist(), counts, strict=True)
    kept = [(tuple(ids[:n]), tuple(map(kept_log_prob, log_probs[:n]))) for ids, log_probs, n in rows]
    return _Rows(
        choices=choices,
        top_ids=[ids for ids, _ in kept],
        top_log_probs=[log_probs for _, log_probs in kept],
        tail_log_probs=[kept_log_prob(value) for value in (rest - total).tolist()],
        reference_log_probs=[kept_log_prob(value) for value in (wanted - total).tolist()],
    )
