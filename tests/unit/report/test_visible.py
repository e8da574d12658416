"""What is not seen is shown; what is seen stays as it is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.report.visible import cut, one_line, visible
from tests.hostile_texts import HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def f(x):\n\treturn 'é漢🙂'", "def f(x):\n\treturn 'é漢🙂'"),
        ("\x1b[31m\0\x7f", "␛[31m␀␡"),
        ("a\u202eb\u200f", "a\\u202eb\\u200f"),
        ("a\ud800\r\n", "a\\ud800␍\n"),
    ],
    ids=["ordinary code", "controls", "direction", "half a pair and a carriage return"],
)
def test_only_hidden_characters_are_replaced(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_hidden_is_left(text: str) -> None:
    """No control or formatting character but tab and line feed; what is shown can be written as UTF-8."""
    shown = visible(text)

    assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Cs"} and one not in "\t\n"]
    assert not [one for one in shown if unicodedata.bidirectional(one) in {"LRE", "RLE", "LRO", "RLO", "PDF"}]
    shown.encode()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_one_line_is_one_short_line(text: str) -> None:
    shown = one_line(text, longest=50)

    assert len(shown) <= 50
    assert len(shown.splitlines()) <= 1


def test_a_text_is_cut_with_an_ellipsis() -> None:
    assert [cut("abcd", longest=4), cut("abcde", longest=4)] == ["abcd", "abc…"]
