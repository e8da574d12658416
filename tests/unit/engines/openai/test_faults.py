"""A server that fails in every way: nothing is lost, nothing counts twice, and every failure is said plainly."""

from __future__ import annotations

import json
import time

import pytest

from pytest_qeval.engines.base import FinishedCompletion
from pytest_qeval.engines.openai.engine import ServerEngine
from pytest_qeval.engines.openai.prompt_length import PromptCheck
from pytest_qeval.errors import EngineError
from tests.fake_openai import FakeServer, Fault, Json, prompt_of
from tests.unit.engines.openai.servers import engine_of, requests, run, texts

PROMPTS = tuple(f"prompt {number}" for number in range(12))
EXPECTED = {(prompt, 0): f"answer to {prompt}" for prompt in PROMPTS}


def respond(body: Json) -> str:
    return f"answer to {prompt_of(body)}"


def first_time(fault: Fault, every: int = 1) -> FakeServer:
    """Return a server that fails at the first attempt of each (every n-th) prompt."""
    return FakeServer(
        respond,
        faults=lambda body, attempt: fault if attempt == 1 and int(prompt_of(body).split()[1]) % every == 0 else None,
    )


def step_to_the_end(engine: ServerEngine) -> None:
    """Step until there is nothing left to do; no completion may come."""
    while engine.progress.finished < engine.progress.total:
        assert not any(isinstance(one, FinishedCompletion) for one in engine.step())


GARBAGE = Fault(events=["{not json", "[DONE]"])
ANSWER = json.dumps({"model": "fake", "choices": [{"index": 0, "text": "half", "finish_reason": None}]})


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(status=500),
        Fault(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(reset_after=0),
        Fault(reset_after=2),
        Fault(hang_s=0.05),
        GARBAGE,
        Fault(events=["[1, 2]"]),
        Fault(events=['{"choices": 3}']),
        Fault(events=['{"choices": ["x"]}']),
        Fault(events=[ANSWER, "[DONE]"]),
        Fault(events=[ANSWER]),
        Fault(events=["[DONE]"]),
        Fault(events=['{"error": {"code": 500, "message": "out of memory"}}']),
    ],
    ids=lambda fault: str(fault.status or fault.events or f"reset {fault.reset_after} hang {fault.hang_s}")[:40],
)
@pytest.mark.parametrize("every", [1, 3])
def test_what_passes_is_asked_again(fault: Fault, every: int) -> None:
    """Each completion comes once, whole, with the tokens of the attempt that succeeded."""
    with engine_of(first_time(fault, every)) as engine:
        done = run(engine, requests(*PROMPTS))

        assert texts(done) == EXPECTED
        tokens = sum(one.completion.n_tokens or 0 for one in done if isinstance(one, FinishedCompletion))
        assert (engine.progress.new_tokens, engine.progress.finished) == (tokens, len(PROMPTS))


def test_a_server_is_not_asked_again_before_it_says() -> None:
    """`Retry-After` is the least that is waited."""
    arrivals: list[float] = []

    def faults(_body: Json, attempt: int) -> Fault | None:
        arrivals.append(time.monotonic())
        return Fault(status=429, headers={"Retry-After": "0.3"}) if attempt == 1 else None

    with engine_of(FakeServer(respond, faults=faults)) as engine:
        run(engine, requests("prompt 0"))

    assert arrivals[1] - arrivals[0] >= 0.3


def test_a_server_that_wants_to_be_left_alone_is() -> None:
    """Waiting an hour is not what the user asked for."""
    fake = FakeServer(respond, faults=lambda *_: Fault(status=429, headers={"Retry-After": "3600"}))
    with engine_of(fake) as engine:
        (reason,) = texts(run(engine, requests("prompt 0"))).values()

    assert reason.startswith("failed: ")
    assert "gave no answer in 1 attempt: HTTP 429, out of order, and it asks to wait 3600 s" in reason


def test_one_prompt_that_always_fails_costs_only_itself() -> None:
    """The others have their completions, whatever the order."""
    fake = FakeServer(respond, faults=lambda body, _: Fault(status=500) if prompt_of(body) == "prompt 5" else None)
    with engine_of(fake) as engine:
        found = texts(run(engine, requests(*PROMPTS)))

    assert "gave no answer in 4 attempts: HTTP 500, out of order" in found.pop(("prompt 5", 0))
    assert found == {key: text for key, text in EXPECTED.items() if key[0] != "prompt 5"}


def test_a_refused_prompt_is_not_asked_again() -> None:
    """A prompt that is too long stays too long."""
    fake = FakeServer(respond, faults=lambda body, _: Fault(status=400) if prompt_of(body) == "prompt 5" else None)
    with engine_of(fake) as engine:
        found = texts(run(engine, requests(*PROMPTS)))

    assert "refused a request: HTTP 400, out of order" in found[("prompt 5", 0)]
    assert sum(prompt_of(body) == "prompt 5" for body in fake.requests) == 1


def test_a_dead_server_ends_the_recipe() -> None:
    """Requests are not tried for hours one after the other; what came before is kept."""
    fake = FakeServer(respond)
    with engine_of(fake, concurrency=1) as engine:
        assert len(run(engine, requests("prompt 0"))) == 1
        fake.faults = lambda *_: Fault(reset_after=0)
        engine.submit(requests(*(f"later {number}" for number in range(50))))
        with pytest.raises(EngineError, match="gave no answer in 4 attempts: the connection broke off"):
            step_to_the_end(engine)

        assert engine.progress.finished < 5


def test_a_server_that_never_answers_is_given_up() -> None:
    """After the time limit, and the usual number of attempts."""
    fake = FakeServer(respond, faults=lambda *_: Fault(hang_s=1.0))
    with engine_of(fake, patience_s=0.1, attempts=2) as engine:
        (reason,) = texts(run(engine, requests("prompt 0"))).values()

    assert "gave no answer in 2 attempts: nothing was sent in time" in reason


def test_comments_do_not_keep_a_request_alive() -> None:
    """Proxies send them for as long as the server says nothing."""
    fake = FakeServer(respond, faults=lambda *_: Fault(comments=20))
    with engine_of(fake, patience_s=0.2, attempts=2) as engine:
        (reason,) = texts(run(engine, requests("prompt 0"))).values()

    assert "gave no answer in 2 attempts: nothing was sent in time" in reason


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("escapes", [True, False])
def test_any_text_arrives(line_end: str, *, escapes: bool) -> None:
    """Only CR and LF end a line of events; Unicode has more ends of lines, which may stand in a program."""
    text = "a = '\u2028\u2029\x85\x1c\x0b\x0c'  # € 🎉 \ufeff"
    with engine_of(FakeServer(lambda _: text, line_end=line_end, escapes=escapes)) as engine:
        assert texts(run(engine, requests("prompt 0"))) == {("prompt 0", 0): text}


def test_a_short_key_changes_no_program() -> None:
    """Local servers take any word for one; a long key never stands in a program by chance."""
    text = "def test(): return 'sk-0123456789abcdef'"
    with engine_of(FakeServer(lambda _: text, key="test")) as engine:
        assert texts(run(engine, requests("prompt 0"))) == {("prompt 0", 0): text}
    with engine_of(FakeServer(lambda _: text, key="sk-0123456789abcdef")) as engine:
        assert texts(run(engine, requests("prompt 0"))) == {("prompt 0", 0): "def test(): return '***'"}


def test_answers_that_are_filtered_do_not_end_the_run() -> None:
    """Each costs its own completion, however many come in a row."""
    filtered = [json.dumps({"model": "fake", "choices": [{"index": 0, "text": "", "finish_reason": "content_filter"}]})]
    fake = FakeServer(respond, faults=lambda body, _: Fault(events=filtered) if prompt_of(body) != "prompt 9" else None)
    with engine_of(fake, concurrency=1) as engine:
        found = texts(run(engine, requests(*PROMPTS)))

    assert found.pop(("prompt 9", 0)) == "answer to prompt 9"
    assert len(found) == len(PROMPTS) - 1
    assert set(found.values()) == {"failed: the answer is no completion: it ended by 'content_filter'"}


def test_another_models_answer_is_refused() -> None:
    """No completion of it is taken, and no further one is asked for."""
    fake = FakeServer(respond, answered_model="someone-else")
    with engine_of(fake, concurrency=1) as engine:
        engine.submit(requests(*PROMPTS))
        with pytest.raises(EngineError, match="answered with the model 'someone-else', and 'fake' was asked for"):
            step_to_the_end(engine)

    assert len(fake.requests) == 1


def test_an_answer_that_comes_twice_counts_once() -> None:
    """In one stream, as two choices or as two answers one after the other."""

    def event(index: int, text: str, reason: str | None) -> str:
        return json.dumps({"model": "fake", "choices": [{"index": index, "text": text, "finish_reason": reason}]})

    twice = Fault(
        events=[event(0, "once", None), event(1, "once", "stop"), event(0, "", "stop"), event(0, "once", "stop")]
    )
    fake = FakeServer(respond, faults=lambda *_: twice)
    with engine_of(fake) as engine:
        assert texts(run(engine, requests("prompt 0"))) == {("prompt 0", 0): "once"}


def test_a_prompt_that_is_truncated_in_silence_is_no_answer() -> None:
    """The number of tokens gives it away: the fake server counts four characters a token."""
    fake, long = FakeServer(respond, context=400), "x = 1\n" * 400
    with engine_of(fake, prompts=PromptCheck(characters_per_token=4.0)) as engine:
        found = texts(run(engine, requests(long, "prompt 0")))

    assert "has read 101 tokens of a prompt of 2400 characters" in found[(long, 0)]
    assert "longer context" in found[(long, 0)]
    assert found[("prompt 0", 0)] == "answer to prompt 0"


def test_closing_cancels_what_is_under_way() -> None:
    """Nobody waits for a server that has not answered yet."""
    fake = FakeServer(respond, first_s=5.0)
    with engine_of(fake) as engine:
        engine.submit(requests(*PROMPTS))
        engine.step()
        started = time.monotonic()
        engine.close()

        assert engine.step() == ()
    assert time.monotonic() - started < 4.0


def test_an_unexpected_exception_ends_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug must not leave the run waiting."""
    fake = FakeServer(respond)
    with engine_of(fake) as engine:
        monkeypatch.setattr(engine._prompts.__class__, "check", lambda *_: 1 / 0)
        (reason,) = texts(run(engine, requests("prompt 0"))).values()

    assert reason == "failed: ZeroDivisionError: division by zero"
