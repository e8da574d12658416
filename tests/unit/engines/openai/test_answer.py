"""Streamed answers, event by event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_qeval.engines.openai.answer import Answer, UnusableAnswerError, is_same_model
from pytest_qeval.engines.openai.retries import TransientError


def event(text: str = "", reason: str | None = None, **more: Any) -> str:
    return json.dumps({"model": "m", "choices": [{"index": 0, "text": text, "finish_reason": reason, **more}]})


def answered(*events: str, **fields: Any) -> Answer:
    """Return an answer that has taken events, as many as it wants."""
    answer = Answer(model="m", **fields)
    for number, one in enumerate(events):
        if answer.add(one, float(number)):
            break
    return answer


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "eos"), ("eos_token", "eos"), ("end_turn", "eos"), ("length", "length"), ("max_tokens", "length")],
)
def test_words_for_the_end_are_translated(reason: str, expected: str) -> None:
    """Servers have several."""
    assert answered(event("x", reason)).completion(1.0).finish_reason == expected


@pytest.mark.parametrize("reason", ["abort", "error", "cancelled"])
def test_an_answer_that_was_broken_off_is_none(reason: str) -> None:
    """Another attempt may be whole."""
    with pytest.raises(TransientError, match=f"broke the answer off \\({reason}\\)"):
        answered(event("half", reason))


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", "something_new"])
def test_an_answer_that_ended_otherwise_is_no_completion(reason: str) -> None:
    """It is said why; the text is not judged as if the model had meant to end there."""
    with pytest.raises(UnusableAnswerError, match=f"ended by '{reason}'"):
        answered(event("half", reason))


@pytest.mark.parametrize("inner", [{"delta": "text"}, {"message": ["text"]}, {"delta": 3}])
def test_messages_of_another_form_are_no_answer(inner: dict[str, Any]) -> None:
    """No traceback comes of them."""
    with pytest.raises(TransientError, match="something else than an answer"):
        answered(json.dumps({"choices": [{"index": 0, **inner}]}))


def test_tokens_behind_a_stop_string_do_not_count() -> None:
    """A server that ignores `stop` has counted them; where it has stopped there, its number is right."""
    usage = json.dumps({"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 50}})

    on = answered(event("return 1\ndef g(): pass", "stop"), usage, stops=("\ndef",)).completion(1.0)
    at = answered(event("return 1\ndef", "stop"), usage, stops=("\ndef",)).completion(1.0)

    assert (on.text, on.n_tokens, on.finish_reason) == ("return 1", None, "stop")
    assert (at.text, at.n_tokens, at.finish_reason) == ("return 1", 50, "stop")


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_repeated_beginning_is_not_searched_for_stop_strings(size: int) -> None:
    """It may hold one, and comes in pieces."""
    prefill = "Sure:\n```python\n"
    whole = f"{prefill}return 1\n```\nDone."
    pieces = [event(whole[at : at + size]) for at in range(0, len(whole), size)]

    found = answered(*pieces, event("", "stop"), stops=("\n```",), prefill=prefill).completion(1.0)

    assert found.text == "return 1"


@pytest.mark.parametrize(
    ("asked", "found", "same"),
    [
        ("qwen", "qwen", True),
        ("qwen", "/models/Qwen.gguf", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("llama3", "llama3:latest", True),
        ("a/qwen", "A/Qwen", True),
        ("a/qwen", "b/qwen", False),
        ("qwen", "qwen2", False),
    ],
)
def test_names_of_one_model(asked: str, found: str, *, same: bool) -> None:
    """A folder, a date or a tag may be added, and no other owner."""
    assert is_same_model(asked, found) is same
