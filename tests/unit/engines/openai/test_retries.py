"""When requests are sent again."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.engines.openai.retries import Retries, asked_to_wait_s, is_transient

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, expected: float | None) -> None:
    """RFC 9110, 10.2.3; what cannot be read is as if it were not there."""
    assert asked_to_wait_s({"retry-after": text}, NOW) == expected


@given(attempt=st.integers(1, 20), asked=st.none() | st.floats(0, 299))
def test_delays_grow_to_a_limit_and_are_never_less_than_asked(attempt: int, asked: float | None) -> None:
    """Half to all of the back-off is added to what the server asks for."""
    delay = Retries(attempts=10).delay_s(attempt, asked)
    if attempt >= 10:
        assert delay is None
    else:
        backoff = min(30.0, 0.5 * 2 ** (attempt - 1))
        assert delay is not None
        assert backoff / 2 <= delay - (asked or 0.0) + 1e-9
        assert delay - (asked or 0.0) <= backoff + 1e-9


def test_requests_that_failed_together_do_not_come_back_together() -> None:
    """Jitter."""
    retries = Retries()
    assert len({retries.delay_s(3) for _ in range(10)}) == 10


def test_a_request_that_is_wrong_stays_wrong() -> None:
    """Only busy and broken servers are asked again."""
    assert [is_transient(status) for status in (400, 401, 404, 422, 429, 500, 503)] == [False] * 4 + [True] * 3
