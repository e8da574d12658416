"""What all engines have to keep, whoever runs the model: order, stops, lengths, seeds, interruption, slowness."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from pytest_qeval.engines.base import Engine, FailedCompletion, FinishedCompletion, Request
from pytest_qeval.engines.llamacpp.source import LLAMACPP
from pytest_qeval.engines.replay import ReplayEngine
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.engines.vllm.source import VLLM
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.schema import Completion
from pytest_qeval.settings import GenerationSettings, LlamaSettings, ModelSettings
from tests.fake_openai import FakeServer, Json, prompt_of
from tests.fake_vllm import fake_vllm
from tests.unit.engines.llama_program import write_program
from tests.unit.engines.openai.servers import engine_of

PAGE = Path(__file__).parents[3] / "docs" / "your-engine.md"
PROMPTS = ("def add(a, b):\n", "def double(x):\n", "def is_even(n):\n", "class Stack:\n")
GREEDY = GenerationSettings(max_new_tokens=16)
SAMPLED = GenerationSettings(max_new_tokens=16, temperature=1.0)
Open = Callable[[GenerationSettings], AbstractContextManager[Engine]]


@dataclass(frozen=True)
class Specimen:
    """An engine, and how it is opened."""

    open: Open
    replays: bool = False
    """Whether it returns what was recorded, whatever is asked."""


class InterruptionError(Exception):
    """Stands for Ctrl-C and time limits."""


@contextmanager
def open_replay(_: GenerationSettings) -> Iterator[Engine]:
    completion = Completion(text="    return 1\n", n_tokens=4, finish_reason="replay")
    yield ReplayEngine(lambda *_: [completion] * 3)


@contextmanager
def open_demo(generation: GenerationSettings) -> Iterator[Engine]:
    model = ModelSettings(name="demo", device="cpu", threads=1)
    engine = TRANSFORMERS.open(
        TRANSFORMERS.find(model), find_recipe("auto"), model=model, generation=generation, texts=None, export=None
    )
    yield engine
    engine.close()


def write(body: Json) -> str:
    """Write something that depends on prompt and seed, longer than any limit."""
    return f"    # {prompt_of(body)} {body.get('seed')}\n    return {len(prompt_of(body))}\n" * 8


def open_server(generation: GenerationSettings) -> AbstractContextManager[Engine]:
    return engine_of(FakeServer(write), generation=generation)


@contextmanager
def open_llamacpp(generation: GenerationSettings) -> Iterator[Engine]:
    with TemporaryDirectory() as folder:
        llama = LlamaSettings(program=write_program(Path(folder)), slots=2)
        model = ModelSettings(name="m", engine="llamacpp", llama=llama)
        source = ModelSource(kind="gguf", name="m", path=Path(folder, "tiny.gguf"))
        engine = LLAMACPP.open(
            source, find_recipe("as-is"), model=model, generation=generation, texts=None, export=None
        )
        yield engine
        engine.close()


@contextmanager
def open_vllm(generation: GenerationSettings) -> Iterator[Engine]:
    model = ModelSettings(name="demo", engine="vllm")
    with fake_vllm():
        engine = VLLM.open(
            VLLM.find(model), find_recipe("auto"), model=model, generation=generation, texts=None, export=None
        )
        yield engine
        engine.close()


@contextmanager
def open_documented(generation: GenerationSettings) -> Iterator[Engine]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the page of docs
    source = names["FUNCTION"]
    model = ModelSettings(name="mine")
    engine = source.open(source.find(model), None, model=model, generation=generation, texts=None, export=None)
    yield cast("Engine", engine)
    engine.close()


ENGINES = {
    "replay": Specimen(open_replay, replays=True),
    "transformers": Specimen(open_demo),
    "openai": Specimen(open_server),
    "llamacpp": Specimen(open_llamacpp),
    "vllm": Specimen(open_vllm),
    "docs": Specimen(open_documented),
}


@pytest.fixture(params=ENGINES)
def tested(request: pytest.FixtureRequest) -> Specimen:
    if request.param == "docs" and not PAGE.exists():
        pytest.skip("an installed package has no documentation beside its tests")
    return ENGINES[request.param]


@pytest.fixture(params=[name for name, one in ENGINES.items() if not one.replays])
def generating(request: pytest.FixtureRequest) -> Specimen:
    if request.param == "docs" and not PAGE.exists():
        pytest.skip("an installed package has no documentation beside its tests")
    return ENGINES[request.param]


def asked(prompts: Sequence[str] = PROMPTS, **fields: Any) -> list[Request]:
    return [Request(key=prompt, prompt=prompt, **fields) for prompt in prompts]


def finish(engine: Engine) -> dict[tuple[str, int], Completion]:
    """Step until everything is finished, and return it; nothing may come twice."""
    found: dict[tuple[str, int], Completion] = {}
    deadline = time.monotonic() + 60
    while engine.progress.finished < engine.progress.total:
        assert time.monotonic() < deadline
        take(engine.step(), found)
    return found


def take(done: Sequence[FinishedCompletion | FailedCompletion], found: dict[tuple[str, int], Completion]) -> None:
    for one in done:
        assert isinstance(one, FinishedCompletion)
        assert (one.key, one.index) not in found
        found[one.key, one.index] = one.completion


def run(
    tested: Specimen, requests: Sequence[Request], generation: GenerationSettings = GREEDY
) -> dict[Any, Completion]:
    with tested.open(generation) as engine:
        engine.submit(requests)
        return finish(engine)


def written(found: dict[Any, Completion]) -> dict[Any, str]:
    return {key: completion.text for key, completion in found.items()}


def test_every_sample_comes_once_whatever_the_order(tested: Specimen) -> None:
    """Requests that are submitted later, while others are under way, too; keys tell what belongs where."""
    with tested.open(SAMPLED) as engine:
        engine.submit(asked(PROMPTS[:2], n_samples=2))
        found: dict[tuple[str, int], Completion] = {}
        take(engine.step(), found)
        engine.submit(asked(PROMPTS[2:]))
        found |= finish(engine)

        assert found.keys() == {*((p, i) for p in PROMPTS[:2] for i in (0, 1)), *((p, 0) for p in PROMPTS[2:])}
        assert (engine.progress.finished, engine.progress.total) == (6, 6)
        assert engine.step() in ([], ())


def test_a_completion_depends_on_its_own_prompt_only(tested: Specimen) -> None:
    """Not on its neighbours."""
    together = written(run(tested, asked()))
    backwards = written(run(tested, asked(PROMPTS[::-1])))
    alone = {key: text for prompt in PROMPTS for key, text in written(run(tested, asked([prompt]))).items()}

    assert together == backwards == alone


def test_completions_end_before_a_stop_string(generating: Specimen) -> None:
    """The stop string is no part of the text."""
    plain = run(generating, asked(max_new_tokens=16))
    stops = {key: completion.text[3:5] for key, completion in plain.items() if len(completion.text) > 5}
    assert stops
    for (prompt, _), stop in stops.items():
        (found,) = run(generating, asked([prompt], stops=("no such text", stop))).values()
        whole = plain[prompt, 0].text
        assert found.text == whole[: whole.index(stop)]
        assert found.finish_reason == "stop"


def test_completions_are_no_longer_than_asked(generating: Specimen) -> None:
    """The session's limit holds as well as the request's."""
    short = run(generating, asked(max_new_tokens=2))
    longer = run(generating, asked(max_new_tokens=1000))

    assert all((one.n_tokens or 0) <= 3 for one in short.values())
    assert any(one.finish_reason == "length" for one in short.values())
    assert all((one.n_tokens or 0) <= 17 for one in longer.values())
    assert all(longer[key].text.startswith(one.text) for key, one in short.items())


def test_seeds_decide_samples(generating: Specimen) -> None:
    """The same seed gives the same samples, and another one others; the samples of a request differ."""
    first, again, other = (
        written(run(generating, asked(n_samples=3, seed=seed), SAMPLED)) for seed in (1, 1, 50)
    )  # fmt: skip

    assert first == again
    assert first != other
    assert any(len({first[prompt, index] for index in range(3)}) > 1 for prompt in PROMPTS)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
def test_an_exception_in_the_middle_loses_nothing(tested: Specimen) -> None:
    """As by Ctrl-C or the time limit of a test: the next step goes on."""

    def interrupt(*_: object) -> None:
        raise InterruptionError

    before = signal.signal(signal.SIGALRM, interrupt)
    expected = written(run(tested, asked()))
    found: dict[tuple[str, int], Completion] = {}
    try:
        with tested.open(GREEDY) as engine:
            engine.submit(asked())
            for _ in range(5):
                with suppress(InterruptionError):
                    done: Sequence[FinishedCompletion | FailedCompletion] = ()
                    signal.setitimer(signal.ITIMER_REAL, 0.003)
                    done = engine.step()
                signal.setitimer(signal.ITIMER_REAL, 0)
                take(done, found)
            found |= finish(engine)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert written(found) == expected


def test_closing_ends_everything(tested: Specimen) -> None:
    """What is left is dropped, and closing twice is fine."""
    with tested.open(GREEDY) as engine:
        engine.submit(asked())
        engine.close()
        engine.close()

        if tested.open is not open_demo:  # whose model is gone
            assert engine.step() in ([], ())


def test_a_slow_first_answer_is_waited_for() -> None:
    """Steps return meanwhile, so that progress is shown and Ctrl-C is heard."""
    with engine_of(FakeServer(write, first_s=0.6), generation=GREEDY) as engine:
        engine.submit(asked())
        assert engine.step() == []
        assert engine.progress.finished == 0
        assert len(finish(engine)) == len(PROMPTS)
