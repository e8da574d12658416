"""What goes to a server and comes back: the forecast of the time left."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qeval.engines.openai.workload import Traffic
from pytest_qeval.schema import Completion
from pytest_qeval.stats.forecast import remaining_s


class FakeAnswer:
    """Counts the pieces that came."""

    chunks = 0
    prompt_tokens = 0


def test_time_without_tokens_is_part_of_the_steps_that_bring_them() -> None:
    """A server that reads prompts for 9 s and writes for 1 s needs ten seconds for as many tokens again."""
    traffic = Traffic(concurrency=1, limit=10)
    traffic.total = 3
    answers: list[Any] = [FakeAnswer(), FakeAnswer()]
    for answer in answers:
        traffic.begin(answer)
        for _ in range(9):
            traffic.step(1.0)
        answer.chunks = 10
        traffic.step(1.0)
        traffic.end(answer, Completion(text="", finish_reason="stop", n_tokens=10))
    work = traffic.work_left()

    assert traffic.progress.decode_s == pytest.approx(20.0)
    assert work.steps.tokens / work.steps.seconds == pytest.approx(1.0)
    assert (left := remaining_s(work)) is not None
    assert 5.0 < left < 20.0, "one more answer takes ten seconds"
