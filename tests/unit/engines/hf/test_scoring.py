"""Scores are the same by brute force, from a file and in pieces."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.engines.hf import scoring
from pytest_qeval.engines.hf.scoring import score, score_text
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.divergence import compare_logits, solution_text
from pytest_qeval.measure.divergence_facts import DivergenceFacts, divergence_facts
from pytest_qeval.measure.topk import Scores, TextDivergence, TextScores, compare_scores, digest
from pytest_qeval.records.messages import BaselineScores, from_plain, to_plain

SOLUTIONS = [
    ("t/0", "def add(a, b):\n", "    return a + b\n"),
    ("t/1", "def first(items):\n", "    return items[0]\n"),
    ("t/2", "class Point:\n", "    pass\n"),
]
TEXT = solution_text([1, 2], [3, 0, 1])
VOCABULARY = 6
LOGITS = st.lists(st.floats(-5, 5, width=32), min_size=3 * VOCABULARY, max_size=3 * VOCABULARY).map(
    lambda values: torch.tensor(values).reshape(3, VOCABULARY)
)


def constant_model(logits: torch.Tensor) -> Any:
    """Make a model that returns these logits for any text."""
    return lambda *_: logits


def kept(logits: torch.Tensor, *, k: int = VOCABULARY, known: TextScores | None = None) -> TextScores:
    return score_text(constant_model(logits), TEXT, task_id="t", k=k, known=known)


def diverging(p: torch.Tensor, q: torch.Tensor, *, k: int = VOCABULARY) -> TextDivergence:
    ours = kept(p, k=k)
    return compare_scores(ours, kept(q, known=ours))


def noisy(model: Any) -> Any:
    """Return a copy that is a little different."""
    other = copy.deepcopy(model)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return other


def facts(baseline: Scores, candidate: Scores) -> DivergenceFacts:
    return divergence_facts(baseline, candidate, recipe="noisy", baseline_recipe="auto", benchmark="t")


@settings(deadline=None, max_examples=50)
@given(p=LOGITS, q=LOGITS)
def test_the_whole_vocabulary_gives_the_full_divergence(p: torch.Tensor, q: torch.Tensor) -> None:
    found = diverging(p, q)
    assert math.fsum(found.kl) == pytest.approx(compare_logits(p, q).total_kl, abs=1e-3, rel=1e-3)
    assert math.fsum(found.reverse_kl) == pytest.approx(compare_logits(q, p).total_kl, abs=1e-3, rel=1e-3)
    assert sum(found.same_top1) == compare_logits(p, q).n_same_top1


@settings(deadline=None, max_examples=50)
@given(p=LOGITS, q=LOGITS, k=st.integers(1, VOCABULARY))
def test_fewer_tokens_give_less(p: torch.Tensor, q: torch.Tensor, k: int) -> None:
    assert math.fsum(diverging(p, q, k=k).kl) <= compare_logits(p, q).total_kl + 1e-3


@settings(deadline=None, max_examples=50)
@given(p=LOGITS, k=st.integers(1, VOCABULARY))
def test_a_model_does_not_diverge_from_itself(p: torch.Tensor, k: int) -> None:
    found = diverging(p, p.clone(), k=k)
    assert {*found.kl, *found.reverse_kl, *found.delta_p} == {0.0}
    assert all(found.same_top1)


@settings(deadline=None, max_examples=50)
@given(p=LOGITS, k=st.integers(1, VOCABULARY))
def test_the_likeliest_are_kept_and_all_others_are_the_tail(p: torch.Tensor, k: int) -> None:
    found = kept(p, k=k)
    expected = p.double().log_softmax(-1)
    for row, ids, log_probs, tail in zip(
        expected, found.top_ids, found.top_log_probs, found.tail_log_probs, strict=True
    ):
        assert len(ids) == k == len(set(ids))
        assert log_probs == pytest.approx(row.sort(descending=True).values[:k].tolist(), abs=2e-5)
        rest = 1 - sum(row[list(ids)].exp().tolist())
        assert math.exp(tail) == pytest.approx(rest, abs=1e-5)
    references = expected[range(3), [3, 0, 1]].tolist()
    assert found.reference_log_probs == pytest.approx(references, abs=2e-5)


def test_a_small_tail_is_kept_exactly() -> None:
    """1 minus the sum of probabilities in float32 would be 0 here."""
    logits = torch.tensor([[0.0, -25.0, -25.0, -26.0, -26.0, -30.0]] * 3)
    rest = logits[0, 1:].double().logsumexp(-1).item()
    assert kept(logits, k=1).tail_log_probs == pytest.approx([rest] * 3, abs=2e-5)


def test_very_unlikely_tokens_are_left_to_the_tail() -> None:
    """Most tokens of code are certain, so that a file needs few of them."""
    logits = torch.tensor([[0.0, -11.0, -12.0, -13.0, -14.0, -20.0], [0.0] * 6, [0.0, -11.6, -11.4, -9, -9, -9]])
    assert [len(ids) for ids in kept(logits).top_ids] == [2, 6, 5]


def test_the_first_of_equals_is_the_choice_whatever_topk_says() -> None:
    """Greedy decoding takes the first; ties are common in bfloat16."""
    logits = torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]] * 3)
    found = diverging(logits, logits.clone(), k=2)
    assert all(found.same_top1)
    assert kept(logits, k=2).choices == (1, 1, 1)


def test_excluded_tokens_have_a_finite_logarithm() -> None:
    p = torch.tensor([[0.0, 0.0, -torch.inf, -torch.inf, -torch.inf, -torch.inf]] * 3)
    q = torch.tensor([[0.0, -torch.inf, 0.0, -torch.inf, -torch.inf, -torch.inf]] * 3)
    found = diverging(p, q)
    assert all(10 < value < 100 for value in (*found.kl, *found.reverse_kl))
    assert kept(p).reference_log_probs == (-100.0, -0.69315, -0.69315)
    assert kept(p).tail_log_probs == (-100.0,) * 3
    json.dumps(asdict(kept(p)), allow_nan=False)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("known", [False, True], ids=["baseline", "candidate"])
def test_logits_that_are_not_finite_are_refused(bad: float, *, known: bool) -> None:
    logits = torch.zeros(3, VOCABULARY)
    logits[1, 4] = bad
    with pytest.raises(EngineError, match=r"t: the model's logits are not finite \(NaN or inf\)"):
        kept(logits, known=kept(torch.zeros(3, VOCABULARY), k=2) if known else None)


@pytest.mark.parametrize("k", [2, VOCABULARY])
def test_rows_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    torch.manual_seed(0)
    p, q = 4 * torch.randn(3, VOCABULARY), 4 * torch.randn(3, VOCABULARY)
    whole = diverging(p, q, k=k)
    monkeypatch.setattr(scoring, "_CHUNK_ELEMENTS", 2 * VOCABULARY)
    assert diverging(p, q, k=k) == whole


def test_logits_are_left_as_they_were() -> None:
    logits = torch.randn(3, VOCABULARY)
    before = logits.clone()
    kept(logits)
    assert torch.equal(logits, before)


def test_a_model_does_not_diverge_from_itself_end_to_end(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    model = make_model("llama")
    baseline = score(model, tokenizer, SOLUTIONS)
    found = facts(baseline, score(model, tokenizer, SOLUTIONS, against=baseline))
    assert [problem.task_id for problem in found.problems] == ["t/0", "t/1", "t/2"]
    assert {problem.kl for problem in found.problems} == {0.0}
    assert all(problem.same_top1 == problem.tokens > 0 for problem in found.problems)
    assert found.incomparable == 0


def test_two_models_diverge_as_by_brute_force(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    model = make_model("llama")
    other = noisy(model)
    baseline = score(model, tokenizer, SOLUTIONS, k=1000)
    found = facts(baseline, score(other, tokenizer, SOLUTIONS, against=baseline))
    for problem, (_, prompt, solution) in zip(found.problems, SOLUTIONS, strict=True):
        prompt_ids, solution_ids = tokenizer([prompt, solution]).input_ids
        ids = torch.tensor([[*prompt_ids, *solution_ids]])
        p, q = (m(ids).logits[0, len(prompt_ids) - 1 : -1].detach() for m in (model, other))
        full = compare_logits(p, q)
        log_p, log_q = (logits.double().log_softmax(-1)[range(len(solution_ids)), solution_ids] for logits in (p, q))
        assert problem.kl == pytest.approx(full.total_kl, rel=0.01)
        assert problem.kl > 0
        assert (problem.same_top1, problem.tokens) == (full.n_same_top1, len(solution_ids))
        assert problem.delta_p == pytest.approx((log_q.exp() - log_p.exp()).sum().item(), abs=1e-4)
        assert problem.baseline_log_prob == pytest.approx(log_p.sum().item(), abs=1e-3)
        assert problem.candidate_log_prob == pytest.approx(log_q.sum().item(), abs=1e-3)


def test_a_baseline_from_a_file_gives_the_same_figures(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    model = make_model("llama")
    baseline = score(model, tokenizer, SOLUTIONS, k=4)
    candidate = score(noisy(model), tokenizer, SOLUTIONS, against=baseline)
    row = json.loads(json.dumps(to_plain(BaselineScores.of("auto", "micro", baseline)), allow_nan=False))
    message = from_plain(row)
    assert isinstance(message, BaselineScores)
    read = message.scores
    again = score(noisy(model), tokenizer, SOLUTIONS, against=read)
    assert facts(read, again).problems == facts(baseline, candidate).problems
    assert again.k == 4


def test_a_text_is_scored_the_same_beside_any_other(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    model = make_model("llama")
    assert score(model, tokenizer, SOLUTIONS[1:2]).texts["t/1"] == score(model, tokenizer, SOLUTIONS).texts["t/1"]


def test_another_tokenizer_is_noticed(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """The same text in other tokens cannot be compared token by token."""

    def other(texts: Any, **options: Any) -> Any:
        encoded = tokenizer(texts, **options)
        if isinstance(texts, str):
            encoded["input_ids"] = [*encoded.input_ids[:-1], 5, 6]
        return encoded

    model = make_model("llama")
    baseline = score(model, tokenizer, SOLUTIONS)
    found = score(model, other, SOLUTIONS, against=baseline)
    assert (found.texts, found.incomparable) == ({}, ("t/0", "t/1", "t/2"))


def test_texts_without_a_baseline_are_left_out(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    model = make_model("llama")
    baseline = score(model, tokenizer, SOLUTIONS[:2])
    found = score(model, tokenizer, SOLUTIONS[1:], against=baseline)
    assert ([*found.texts], found.incomparable) == (["t/1"], ("t/2",))


def test_texts_beyond_the_context_are_left_out(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    model = make_model("llama")
    long = [("long", "x = 1\n" * 100, "pass\n"), ("cut", "def f():\n", "    pass\n" * 100)]
    found = score(model, tokenizer, long)
    assert found.incomparable == ("long",)
    prompt_tokens = len(tokenizer(long[1][1]).input_ids)
    assert len(found.texts["cut"].choices) == 128 - prompt_tokens


@pytest.mark.parametrize(
    ("prompt", "solution"), [("print(", "total)\n"), SOLUTIONS[0][1:]], ids=["clean border", "token across"]
)
def test_a_solution_does_not_begin_a_sequence_again(
    make_model: Callable[[str], Any], tokenizer: Any, prompt: str, solution: str
) -> None:
    """A tokenizer that puts a token in front of everything does so once."""
    fed: list[list[int]] = []

    def beginning(texts: list[str] | str, *, add_special_tokens: bool = True) -> Any:
        encoded = tokenizer(texts)
        if add_special_tokens:
            encoded["input_ids"] = [[0, *ids] for ids in encoded.input_ids]
        return encoded

    class Recorded:
        config = make_model("llama").config
        device = torch.device("cpu")

        def __call__(self, ids: torch.Tensor, **options: Any) -> Any:
            fed.extend(ids.tolist())
            return make_model("llama")(ids, **options)

    found = score(Recorded(), beginning, [("t", prompt, solution)])
    prompt_ids, solution_ids = tokenizer([prompt, solution]).input_ids
    assert fed == [[0, *prompt_ids, *solution_ids]]
    assert len(found.texts["t"].choices) == len(solution_ids)


def test_a_solution_follows_without_the_blank_that_begins_a_text(
    make_model: Callable[[str], Any], tokenizer: Any
) -> None:
    """Sentencepiece puts a blank in front of whatever it is given, special tokens or not."""

    def blank_first(texts: list[str] | str, **_: Any) -> Any:
        return tokenizer([f" {text}" for text in texts] if isinstance(texts, list) else f" {texts}")

    prompt_ids, whole = tokenizer([" print(", " print(total)\n"]).input_ids
    found = score(make_model("llama"), blank_first, [("t", "print(", "total)\n")])
    assert found.texts["t"].tokens_sha256 == digest(whole, len(prompt_ids))


def test_a_token_over_the_border_is_taken_apart(make_model: Callable[[str], Any], tokenizer: Any) -> None:
    """Generation begins with the prompt's own tokens, and so does scoring."""
    prompt, solution = SOLUTIONS[0][1:]
    prompt_ids, whole = tokenizer([prompt, prompt + solution]).input_ids
    assert whole[: len(prompt_ids)] != prompt_ids
    found = score(make_model("llama"), tokenizer, [("t", prompt, solution)])
    assert len(found.texts["t"].choices) == len(tokenizer(solution).input_ids)
