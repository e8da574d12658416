from pathlib import Path

import pytest

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.replay import ReplayEngine, read_samples
from pytest_qeval.errors import DataError, EngineError


def test_completions_come_back_unchanged_and_in_order(tmp_path: Path) -> None:
    """No stop string cuts a recorded completion."""
    path = tmp_path / "samples.jsonl"
    path.write_text(
        '{"task_id": "a", "completion": "  one\\n\\ndef more(): pass"}\n{"task_id": "b", "completion": ""}\n'
        '{"task_id": "a", "completion": "two", "model": "ignored"}\n'
    )
    samples = read_samples(path)
    engine = ReplayEngine(lambda _, task_id: samples[task_id])
    engine.submit([Request(key=task_id, prompt="p", task_id=task_id, stops=("\ndef",), n_samples=n)
                   for task_id, n in (("b", 1), ("a", 2))])  # fmt: skip

    found = [(done.key, done.index, done.completion.text) for _ in range(5) for done in engine.step()]

    assert found == [("b", 0, ""), ("a", 0, "  one\n\ndef more(): pass"), ("a", 1, "two")]
    assert (engine.progress.finished, engine.progress.total) == (3, 3)


def test_too_few_samples_are_refused_at_once() -> None:
    """When the request is submitted, not when its turn comes."""
    with pytest.raises(EngineError, match="has 1 completions of a, 2 are needed"):
        ReplayEngine(lambda *_: ["x"]).submit([Request(key="a", prompt="", task_id="a", n_samples=2)])


def test_closing_drops_the_queue() -> None:
    """After `close` no completion is returned, and closing twice is fine."""
    engine = ReplayEngine(lambda *_: ["x"])
    engine.submit([Request(key="a", prompt="", task_id="a")])
    engine.close()
    engine.close()

    assert engine.step() == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no samples"),
        ('{"task_id": "a"}\n', "line 1: expected the text fields task_id and completion"),
        ('{"task_id": "a", "completion": ""}\n{"task_id": 1, "completion": ""}\n', "line 2: expected the text fields"),
    ],
    ids=["empty", "no completion", "a number for an id"],
)
def test_a_malformed_samples_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """With the file and the line."""
    path = tmp_path / "samples.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=f"samples.jsonl.*{message}"):
        read_samples(path)
