"""Long lines in a narrow terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.report.folding import fold, fold_lines
from pytest_qeval.report.text import Line

ROW = "  auto  float32 baseline  65.2%   54.3% – 75.0%  58/89   17 failed · 12 error · 2 syntax"


def test_a_row_is_broken_between_its_columns() -> None:
    assert list(fold(ROW, 60)) == [
        "  auto  float32 baseline  65.2%   54.3% – 75.0%  58/89",
        "      17 failed · 12 error · 2 syntax",
    ]


def test_a_sentence_is_broken_at_a_blank_and_keeps_its_colour() -> None:
    found = fold_lines([Line("verdict: FAIL, 1 of 2 gates broken", "red"), Line("")], 26)

    assert list(found) == [Line("verdict: FAIL, 1 of 2", "red"), Line("    gates broken", "red"), Line("")]


@pytest.mark.parametrize(("text", "width"), [(ROW, 100), ("a b c d e f g h i j k l m n o p", 10), ("x" * 99, 60)])
def test_what_fits_or_cannot_be_broken_stays(text: str, width: int) -> None:
    assert list(fold(text, width)) == [text]


@given(st.text(alphabet="ab  ·", max_size=200), st.integers(1, 120))
def test_no_word_is_lost_and_no_line_of_short_words_is_too_long(text: str, width: int) -> None:
    found = list(fold(text, width))

    assert " ".join(found).split() == text.split()
    words = max(map(len, text.split()), default=0)
    indent = len(text) - len(text.lstrip()) + 4
    if width >= 20 + indent and words < 20:
        assert max(map(len, found)) <= width
