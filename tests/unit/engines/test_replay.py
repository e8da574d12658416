from pathlib import Path

import pytest

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.replay import ReplayEngine
from pytest_qeval.engines.samples_file import read_samples
from pytest_qeval.errors import EngineError
from pytest_qeval.schema import Completion

X = Completion(text="x", n_tokens=None, finish_reason="replay")


def test_completions_come_back_unchanged_and_in_order(tmp_path: Path) -> None:
    """No stop string cuts a recorded completion."""
    path = tmp_path / "samples.jsonl"
    path.write_text(
        '{"task_id": "a", "completion": "  one\\n\\ndef more(): pass"}\n{"task_id": "b", "completion": ""}\n'
        '{"task_id": "a", "completion": "two", "model": "ignored"}\n'
    )
    samples = read_samples(path).completions
    engine = ReplayEngine(lambda _, task_id: samples[task_id])
    engine.submit([Request(key=task_id, prompt="p", task_id=task_id, stops=("\ndef",), n_samples=n)
                   for task_id, n in (("b", 1), ("a", 2))])  # fmt: skip

    found = [(done.key, done.index, done.completion.text) for _ in range(5) for done in engine.step()]

    assert found == [("b", 0, ""), ("a", 0, "  one\n\ndef more(): pass"), ("a", 1, "two")]
    assert (engine.progress.finished, engine.progress.total) == (3, 3)


def test_too_few_samples_are_refused_at_once() -> None:
    """When the request is submitted, not when its turn comes."""
    with pytest.raises(EngineError, match="has 1 completion of a, 2 are needed"):
        ReplayEngine(lambda *_: [X]).submit([Request(key="a", prompt="", task_id="a", n_samples=2)])


def test_closing_drops_the_queue() -> None:
    """After `close` no completion is returned, and closing twice is fine."""
    engine = ReplayEngine(lambda *_: [X])
    engine.submit([Request(key="a", prompt="", task_id="a")])
    engine.close()
    engine.close()

    assert engine.step() == ()
