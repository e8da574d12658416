"""What a row's next tokens may be: from an expected text, and from its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.engines.hf.drafts import MAX_DRAFT_TOKENS, Drafts, choose_draft_length

TOKENS = st.lists(st.integers(0, 5), max_size=40)


def test_a_draft_repeats_what_followed_the_last_time() -> None:
    """Also beyond the end of what is there, with the period of the repetition."""
    drafts = Drafts([1, 2, 3, 9, 1, 2, 3])
    assert drafts.draft() == ([9, 1, 2, 3] * 4)[:MAX_DRAFT_TOKENS]
    drafts.append(5)
    assert drafts.draft() == []


@given(prompt=TOKENS, expected=TOKENS)
def test_an_expected_text_is_drafted_to_its_end(prompt: list[int], expected: list[int]) -> None:
    """As long as the completion is that text."""
    drafts = Drafts(prompt, expected)
    for at, token in enumerate(expected):
        assert drafts.draft() == expected[at : at + MAX_DRAFT_TOKENS]
        drafts.append(token)


@pytest.mark.parametrize(
    ("generated", "rest"),
    [
        ([1, 2, 3], [4, 5, 6, 7, 8]),
        ([1, 2, 3, 9], []),
        ([1, 2, 3, 9, 5], []),
        ([1, 2, 3, 9, 5, 6], [7, 8]),
        ([1, 2, 3, 5, 6], [7, 8]),
        ([1, 2, 9, 9, 3, 4], [5, 6, 7, 8]),
        ([1, 2, 1, 2], ([1, 2] * MAX_DRAFT_TOKENS)[:MAX_DRAFT_TOKENS]),
    ],
    ids=["the same", "another token", "instead of one", "found again", "one left out", "two more", "not backwards"],
)
def test_an_expected_text_is_found_again(generated: list[int], rest: list[int]) -> None:
    """By two of its tokens, further on."""
    drafts = Drafts([], [1, 2, 3, 4, 5, 6, 7, 8])
    for token in generated:
        drafts.append(token)
    assert drafts.draft() == rest


@given(prompt=TOKENS, expected=TOKENS, generated=TOKENS)
def test_any_text_gives_a_draft_of_known_tokens(prompt: list[int], expected: list[int], generated: list[int]) -> None:
    """Whatever is generated."""
    drafts = Drafts(prompt, expected)
    for token in generated:
        drafts.append(token)
        assert len(drafts.draft()) <= MAX_DRAFT_TOKENS
        assert set(drafts.draft()) <= {*prompt, *expected, *generated}


def test_drafts_are_as_long_as_they_pay() -> None:
    """Wide batches and rows with rejected drafts decode plainly; few rows in a loop take the longest draft."""
    assert choose_draft_length([0.3] * 64, 64) == 0
    assert choose_draft_length([0.0], 1) == 0
    assert choose_draft_length([1.0, 1.0], 2) == MAX_DRAFT_TOKENS
    assert choose_draft_length([], 3) == 0


def test_acceptance_rates_follow_accepted_and_rejected_drafts() -> None:
    """Tokens after the first rejected one do not count; an expected text is believed at first."""
    good, bad = Drafts([]), Drafts([])
    good.update_rate(4, 4)
    bad.update_rate(0, 4)
    assert good.rate == pytest.approx(1 - 0.5 * 0.7**4)
    assert bad.rate == pytest.approx(0.35)
    assert Drafts([], [1]).rate > good.rate - 0.2 > bad.rate
