"""The number of requests at a time is found by the run's own throughput."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.engines.openai import in_flight
from pytest_qeval.engines.openai.in_flight import FIRST, MOST, InFlight
from pytest_qeval.engines.openai.opening import requests_at_a_time
from pytest_qeval.settings import ServerSettings
from tests.fake_openai import FakeServer, prompt_of
from tests.unit.engines.openai.servers import engine_of, requests, run


def simulate(in_flight: InFlight, rate: Callable[[int], float], *, slots: int = 10**6, total: int = 2000) -> int:
    """Send requests of 30 to 69 tokens to a server with this throughput; return the most that were under way.

    The server writes a token of each request that has a slot, in a step of its own; others wait.
    """
    left = [30 + number * 17 % 40 for number in range(total)]
    active: list[int] = []
    now, tokens, most = 0.0, 0, 0
    while left or active:
        while left and len(active) < in_flight.limit:
            active.append(left.pop())
            in_flight.note(active=len(active), tokens=tokens, now_s=now, answered=False)
        most = max(most, len(active))
        served = min(slots, len(active))
        now, tokens = now + served / rate(served), tokens + served
        active = [one - (place < served) for place, one in enumerate(active)]
        for _ in range(active.count(0)):
            active.remove(0)
            in_flight.note(active=len(active), tokens=tokens, now_s=now, answered=True)
    return most


@pytest.mark.parametrize(("slots", "found"), [(1, 4), (4, 4), (16, 16), (32, 32), (1024, MOST)])
def test_the_number_doubles_until_the_server_has_no_more_slots(slots: int, found: int) -> None:
    """Beyond them requests only wait: twice as many bring nothing, and are given up again."""
    in_flight = InFlight()
    most = simulate(in_flight, lambda served: 100.0 * served, slots=slots)
    assert (in_flight.limit, in_flight.settled) == (found, True)
    assert most == min(2 * found, MOST)


def test_a_server_that_gets_slower_is_asked_less() -> None:
    """Its best number of those that were tried is kept."""
    in_flight = InFlight()
    simulate(in_flight, lambda served: 100.0 * min(served, 8) - 5 * max(0, served - 8))
    assert in_flight.limit == 8


def test_a_short_run_keeps_what_it_has_begun_with() -> None:
    """A few answers decide nothing."""
    in_flight = InFlight()
    assert simulate(in_flight, lambda served: 100.0 * served, total=3) == 3
    assert (in_flight.limit, in_flight.settled, in_flight.rates) == (FIRST, False, {})


@given(number=st.integers(1, 64))
def test_a_number_that_is_given_stays(number: int) -> None:
    """Whatever the throughput."""
    in_flight = InFlight.fixed(number)
    assert simulate(in_flight, lambda served: 100.0 * served, total=200) == number
    assert in_flight.limit == number


@pytest.mark.parametrize(
    ("asked", "slots", "processes", "expected"),
    [
        (None, None, 1, (FIRST, False)),
        (None, 16, 1, (16, True)),
        (6, 16, 1, (6, True)),
        (6, None, 2, (3, True)),
        (1, None, 4, (1, True)),
    ],
)
def test_what_the_user_says_goes_before_the_servers_slots(
    asked: int | None, slots: int | None, processes: int, expected: tuple[int, bool]
) -> None:
    """And these before a search; workers of `-n` share them."""
    found = requests_at_a_time(ServerSettings(endpoint="http://x", concurrency=asked, processes=processes), slots)
    assert (found.limit, found.settled) == expected


def test_the_search_loses_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request is answered once while their number changes, up to more at a time and back."""
    monkeypatch.setattr(in_flight, "_LEAST_S", float("inf"))  # only what is decided here is
    fake = FakeServer(lambda body: f"answer to {prompt_of(body)}", first_s=0.01)
    asked = requests(*(f"prompt {number}" for number in range(120)))
    with engine_of(fake, in_flight=InFlight(most=16)) as engine:
        engine._in_flight._decide(100.0)  # as after a second of good throughput
        assert engine._in_flight.limit == 2 * FIRST
        done = run(engine, asked)
        engine._in_flight._decide(50.0)
        assert engine.facts()["batch_size"] == FIRST
        done += run(engine, [*requests("late 0", "late 1")])

    assert sorted(one.key for one in done) == sorted([*(one.key for one in asked), "late 0", "late 1"])
    assert fake.most_active <= 2 * FIRST
