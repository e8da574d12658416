"""The engine of vLLM, on a package that stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_qeval.engines.base import FailedCompletion, FinishedCompletion, ModelEngine, Request
from pytest_qeval.engines.vllm.source import VLLM
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.topk import compare_scores
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings
from tests.fake_vllm import FakeEngine, fake_vllm

SOLUTIONS = [("t/0", "def one():\n", "    return 1\n"), ("t/1", "def two():\n", "    return 2\n")]


@contextmanager
def opened(
    generation: GenerationSettings | None = None, recipe: str = "auto", **fake: Any
) -> Iterator[tuple[ModelEngine, FakeEngine]]:
    """Open the embedded model by the fake."""
    model = ModelSettings(name="demo", engine="vllm")
    with fake_vllm(**fake) as made:
        engine = VLLM.open(
            VLLM.find(model),
            find_recipe(recipe),
            model=model,
            generation=generation or GenerationSettings(max_new_tokens=8),
            texts=None,
            export=None,
        )
        yield engine, made[-1][1]
        engine.close()


def run(engine: ModelEngine) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while engine.progress.finished < engine.progress.total:
        found |= {one.key: one for one in engine.step()}
    return found


def asked(*prompts: str, **fields: Any) -> list[Request]:
    return [Request(key=prompt, prompt=prompt, **fields) for prompt in prompts]


def test_vllm_holds_no_more_requests_than_it_decodes_together() -> None:
    """The others wait outside, so that times are theirs, and not those of a queue."""
    with opened(width=2) as (engine, vllm):
        engine.submit(asked("a", "b", "c", "d", "e"))
        engine.step()
        left = engine.work_left()
        found = run(engine)

    assert vllm.widest == 2
    assert left is not None
    assert (left.waiting, list(left.live), left.rows) == (3, [1, 1], 2)
    assert all(one.completion.ttft_s <= one.completion.duration_s for one in found.values())
    assert engine.progress.new_tokens == 5 * 8
    assert engine.progress.prompt_tokens == 5


def test_a_prompt_that_is_too_long_fails_alone() -> None:
    """In vLLM's words."""
    with opened(context_tokens=9) as (engine, _):
        engine.submit(asked("a", "def f(x):\n" * 20))
        found = run(engine)

    first, second = found.values()
    (failed,) = (one for one in (first, second) if isinstance(one, FailedCompletion))
    assert failed.reason.endswith("which is too long")
    assert isinstance(found["a"], FinishedCompletion)


def test_special_tokens_stop_by_their_ids() -> None:
    """VLLM leaves them out of the text, in which they would not be found."""
    calls = []

    def write(_: Any, params: Any) -> str:
        calls.append(params)
        return "text"

    with opened(write=write) as (engine, _):
        engine.submit(asked("a", stops=("\ndef", "<|endoftext|>")))
        (found,) = run(engine).values()

    assert list(calls[0].stop) + list(calls[0].stop_token_ids) in (["\ndef", 0], ["\ndef", "<|endoftext|>"])
    assert found.completion.finish_reason == "eos"


def test_an_exception_has_everything_generated_again() -> None:
    """Of what was under way nothing is left in vLLM, and nothing comes twice."""
    with opened(width=4) as (engine, vllm):
        engine.submit(asked("a", "b"))
        engine.step()
        vllm.fail_next = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            engine.step()
        before = set(vllm.live)
        engine.step()
        assert set(vllm.live).isdisjoint(before)
        found = run(engine)

    assert found.keys() == {"a", "b"}
    assert all(one.completion.n_tokens == 8 for one in found.values())


def test_an_engine_that_has_ended_is_said() -> None:
    """Whatever vLLM calls it."""
    with opened() as (engine, vllm):
        engine.submit(asked("a"))
        vllm.is_dead = True
        with pytest.raises(EngineError, match="vLLM's engine has ended"):
            engine.step()


def test_closing_stops_vllm_once() -> None:
    """Its processes would hold the memory."""
    with opened() as (engine, vllm):
        engine.close()
        engine.close()
        assert engine.step() == ()
    assert vllm.shutdowns == 1


def test_scores_are_those_of_the_listed_tokens() -> None:
    """With requests under way; of the baseline's tokens those that are listed, and the rest as one."""
    with opened() as (engine, _):
        engine.submit(asked("a"))
        engine.step()
        baseline = engine.score(SOLUTIONS)
        own = engine.score(SOLUTIONS, against=baseline)
        found = run(engine)
    with opened(log_probs=lambda _: {7: -0.5, 8: -1.2}) as (engine, _):
        other = engine.score(SOLUTIONS, against=baseline)

    text = baseline.texts["t/0"]
    assert found.keys() == {"a"}
    assert (text.choices[0], text.top_ids[0][:2], text.top_log_probs[0][:2]) == (7, (7, 8), (-0.1, -2.5))
    assert set(compare_scores(text, own.texts["t/0"]).kl) == {0.0}
    assert all(kl > 0.1 for kl in compare_scores(text, other.texts["t/0"]).kl)


def test_scores_need_the_baselines_tokens_and_numbers() -> None:
    """Texts beyond the context are left out; without any, that is an error."""
    with opened() as (engine, _):
        baseline = engine.score(SOLUTIONS)
    with opened(context_tokens=8) as (engine, _):
        assert engine.score(SOLUTIONS).incomparable == ("t/0", "t/1")
        with pytest.raises(EngineError, match="none of 2 texts has the tokens"):
            engine.score(SOLUTIONS, against=baseline)
    with opened(log_probs=lambda _: {7: float("nan")}) as (engine, _), pytest.raises(EngineError, match="not finite"):
        engine.score(SOLUTIONS)


def test_an_exception_while_scoring_leaves_nothing_behind() -> None:
    """Completions under way are generated again."""
    with opened() as (engine, vllm):
        engine.submit(asked("a"))
        engine.step()
        vllm.fail_next = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            engine.score(SOLUTIONS)
        found = run(engine)

        assert found.keys() == {"a"}
        assert not vllm.live
