"""Given tokens are scored by servers as by a model in this process, as far as the servers list them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_qeval.engines.listed_scores import TokenRow, text_scores
from pytest_qeval.engines.openai.background import BackgroundLoop
from pytest_qeval.engines.openai.client import Key, ServerClient
from pytest_qeval.engines.openai.forcing import Forcing, LlamaForcing, VllmForcing, find_forcing
from pytest_qeval.engines.openai.retries import Retries
from pytest_qeval.errors import EngineError, NoScoresError
from pytest_qeval.measure.divergence_facts import DivergenceFacts, divergence_facts
from pytest_qeval.measure.topk import Scores, digest
from tests.fake_openai import FakeServer, NextTokens, serving
from tests.unit.engines.openai.servers import engine_of

TEXTS = [("t/0", "def f(x):\n", "    return x\n"), ("t/1", "def g(y):\n", "    y += 1\n"), ("t/2", "a = ", "17")]
TOKENS = [10, *range(32, 127)]
"""Those of the vocabulary: 96."""
FORCINGS: Sequence[Forcing] = [LlamaForcing(), VllmForcing(model="fake", listed=96)]


def model(sharpness: float) -> NextTokens:
    """Return a model whose predictions depend on the length and the last token."""

    def next_tokens(before: Sequence[int]) -> Mapping[int, float]:
        start = sum(before[-1:]) + len(before)
        weights = {token: math.exp(-sharpness * ((token * 7 + start) % 96)) for token in TOKENS}
        return {token: weight / sum(weights.values()) for token, weight in weights.items()}

    return next_tokens


def score(
    next_tokens: NextTokens,
    forcing: Forcing,
    *,
    against: Scores | None = None,
    texts: Sequence[tuple[str, str, str]] = TEXTS,
) -> Scores:
    with engine_of(FakeServer(lambda _: "", next_tokens=next_tokens), forcing=forcing) as engine:
        return engine.score(texts, against=against)


def compared(baseline: Scores, candidate: Scores) -> DivergenceFacts:
    return divergence_facts(baseline, candidate, recipe="q4", baseline_recipe="full", benchmark="micro")


def kl(p: Mapping[int, float], q: Mapping[int, float]) -> float:
    return math.fsum(p[token] * math.log(p[token] / q[token]) for token in p)


@pytest.mark.parametrize("forcing", FORCINGS, ids=["llama-server", "vllm"])
def test_the_divergence_of_two_servers_is_that_of_their_models(forcing: Forcing) -> None:
    """But for the tail, which is all there is to lose: 64 of 96 tokens have 4 % of the probability."""
    full, small = model(0.1), model(0.12)
    baseline = score(full, forcing)
    found = compared(baseline, score(small, forcing, against=baseline))

    expected = [
        kl(full(before), small(before))
        for _, prompt, solution in TEXTS
        for at in range(len(solution))
        for before in [list(map(ord, prompt + solution[:at]))]
    ]
    assert found.tokens == len(expected) == sum(len(solution) for _, _, solution in TEXTS)
    assert sum(expected) * 0.9 < sum(problem.kl for problem in found.problems) <= sum(expected)
    assert sum(problem.same_top1 for problem in found.problems) == found.tokens
    assert (found.k, found.listed, found.unlisted_share) == (32, forcing.listed, 0.0)


@pytest.mark.parametrize("forcing", FORCINGS, ids=["llama-server", "vllm"])
def test_a_server_does_not_diverge_from_itself(forcing: Forcing) -> None:
    """Two calls of a server that computes the same twice: the floor is 0."""
    baseline = score(model(0.3), forcing)
    found = compared(baseline, score(model(0.3), forcing, against=baseline))
    assert {problem.kl for problem in found.problems} == {0.0}


def test_both_servers_score_alike() -> None:
    """What stands in a saved baseline does not depend on the server's software."""
    llama, vllm = (score(model(0.3), forcing) for forcing in FORCINGS)
    assert llama.texts == vllm.texts
    assert {len(ids) for text in llama.texts.values() for ids in text.top_ids} == {32}


def test_the_solutions_tokens_are_scored_behind_the_prompt() -> None:
    """With the likeliest token, and the log-probability of the given one."""
    text = score(model(0.3), LlamaForcing()).texts["t/2"]
    before = [list(map(ord, "a = ")), list(map(ord, "a = 1"))]

    assert text.tokens_sha256 == digest(list(map(ord, "a = 17")), 4)
    assert list(text.choices) == [max(model(0.3)(one), key=lambda token: model(0.3)(one)[token]) for one in before]
    expected = [math.log(model(0.3)(one)[ord(given)]) for one, given in zip(before, "17", strict=True)]
    assert list(text.reference_log_probs) == pytest.approx(expected, abs=1e-5)


def test_what_a_server_does_not_list_counts_as_one() -> None:
    """A short list makes the bound lower, and the share of the baseline that it misses is told."""
    forcing = VllmForcing(model="fake", listed=3)
    baseline = score(model(0.1), LlamaForcing())
    whole = compared(baseline, score(model(-0.1), LlamaForcing(), against=baseline))
    short = compared(baseline, score(model(-0.1), forcing, against=baseline))

    assert short.listed == 3
    assert 0.5 < short.unlisted_share < 1
    assert 0 <= sum(one.kl for one in short.problems) < sum(one.kl for one in whole.problems)
    assert [one.candidate_log_prob for one in short.problems] == [one.candidate_log_prob for one in whole.problems]


def test_a_baseline_keeps_what_its_server_lists() -> None:
    """And no more than others do."""
    assert score(model(0.1), VllmForcing(model="fake", listed=5)).k == 5
    assert score(model(0.1), LlamaForcing()).k == 32


def test_other_tokens_than_the_baselines_are_refused() -> None:
    """With the reason: nothing can be compared."""
    baseline = score(model(0.1), LlamaForcing())
    other = replace(baseline, texts={key: replace(one, tokens_sha256="1" * 64) for key, one in baseline.texts.items()})
    with pytest.raises(EngineError, match="none of 3 texts has the tokens that the baseline has read: compare models"):
        score(model(0.1), LlamaForcing(), against=other)


def test_texts_that_cannot_be_compared_are_left_out() -> None:
    """One of other tokens, and one that the baseline has not read."""
    baseline = score(model(0.1), LlamaForcing(), texts=TEXTS[:2])
    texts = {**baseline.texts, "t/1": replace(baseline.texts["t/1"], tokens_sha256="1" * 64)}
    found = score(model(0.1), LlamaForcing(), against=replace(baseline, texts=texts))
    assert (list(found.texts), found.incomparable) == (["t/0"], ("t/1", "t/2"))


def test_tokens_that_a_server_drops_and_texts_without_room_are_left_out() -> None:
    """The rows that remain would be those of other tokens."""
    fake = FakeServer(lambda _: "", next_tokens=model(0.1), drops=[ord("7")])
    with engine_of(fake, forcing=LlamaForcing()) as engine:
        assert engine.score(TEXTS).incomparable == ("t/2",)
    with engine_of(
        FakeServer(lambda _: "", next_tokens=model(0.1)), forcing=LlamaForcing(), context_tokens=18
    ) as engine:
        assert list(engine.score(TEXTS).texts) == ["t/2"]


def test_a_server_that_cannot_is_said() -> None:
    """In words, and as an exception of its own, so that the suite is skipped."""
    with engine_of(FakeServer(lambda _: "")) as engine, pytest.raises(NoScoresError, match="scores no text"):
        engine.score(TEXTS)


def test_equal_probabilities_choose_the_first_token() -> None:
    """As in greedy decoding of a model in this process."""
    found = score(lambda _: dict.fromkeys(TOKENS, 1 / 96), LlamaForcing())
    assert set(found.texts["t/2"].choices) == {10}


def test_a_tail_is_not_smaller_than_the_servers_rounding() -> None:
    """Log-probabilities in float32 may add up to more than 1."""
    row = TokenRow(log_probs={1: 1e-7, 2: -20.0}, reference=-20.0)
    found = text_scores("t/0", "0" * 64, [row], k=2, known=None)
    assert found.top_ids == ((1,),)
    assert found.tail_log_probs == pytest.approx([math.log(1e-6)], abs=1e-4)


@pytest.mark.parametrize(
    ("software", "most", "expected"),
    [
        ("llama.cpp b1", 10**6, LlamaForcing()),
        ("llama.cpp b1", 20, None),
        ("vLLM 0.32", 10**6, VllmForcing(model="fake", listed=128)),
        ("vLLM 0.32", 20, VllmForcing(model="fake", listed=20)),
        ("vLLM 0.32", 1, None),
        ("SGLang", 10**6, None),
        ("", 10**6, None),
    ],
)
def test_the_way_is_found_by_the_software_and_tried(software: str, most: int, expected: Forcing | None) -> None:
    """A server lists as many tokens as it is willing to."""
    loop = BackgroundLoop()
    with serving(FakeServer(lambda _: "", next_tokens=model(0.1), max_listed=most)) as fake:
        client = ServerClient(f"{fake.url}/v1", key=Key(), retries=Retries(attempts=4, first_s=0.01))
        try:
            assert loop.call(find_forcing(client, "fake", software)) == expected
        finally:
            loop.call(client.close())
            loop.close()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"completion_probabilities": [{"id": 49, "logprob": None, "top_logprobs": [{"id": 49, "logprob": -1.0}]}]},
        {"completion_probabilities": [{"id": 49, "logprob": -1.0, "top_logprobs": []}]},
        {"completion_probabilities": [{"id": 49, "logprob": -1.0}]},
        {"completion_probabilities": ["x"]},
    ],
)
def test_an_answer_of_another_form_is_refused(answer: object) -> None:
    """NaN arrives as null."""

    class Client:
        async def post(self, *_: object, **__: object) -> object:
            return answer

    loop = BackgroundLoop()
    try:
        with pytest.raises(EngineError, match="holds no log-probabilities of the tokens"):
            loop.call(LlamaForcing().score(Client(), [97], [49]))  # type: ignore[arg-type]
    finally:
        loop.close()


def test_a_long_solution_is_decoded_in_pieces() -> None:
    """A busy server would be given up otherwise; each piece follows the text before it."""
    long = [("t/0", "def f(x):\n", "    x += 1\n" * 20)]
    fake = FakeServer(lambda _: "", next_tokens=model(0.3))
    with engine_of(fake, forcing=LlamaForcing()) as engine:
        found = engine.score(long)

    asked = [body for body in fake.requests if "grammar" in body]
    assert [(len(body["prompt"]), body["n_predict"]) for body in asked] == [(10, 64), (74, 64), (138, 64), (202, 28)]
    assert found.texts == score(model(0.3), FORCINGS[1], texts=long).texts
