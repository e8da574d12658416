"""Where prose is found in a prompt's docstring, and where not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.perturb.docstring.prose import find_prose


def marked(prompt: str, entry_point: str = "f") -> str:
    """Put each span of prose into angle brackets."""
    for start, stop in reversed(find_prose(prompt, entry_point).spans):
        prompt = f"{prompt[:start]}⟨{prompt[start:stop]}⟩{prompt[stop:]}"
    return prompt


def of_docstring(docstring: str, *, parameters: str = "items", quotes: str = '"""') -> str:
    """Return a docstring with its prose marked."""
    prompt = f"def f({parameters}):\n    {quotes}{docstring}{quotes}\n"
    return marked(prompt).removeprefix(f"def f({parameters}):\n    {quotes}").removesuffix(f"{quotes}\n")


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Return every word, twice.", "⟨Return every word, twice⟩."),
        ("Sort items by their size.", "⟨Sort⟩ items ⟨by their size⟩."),
        ("Give the list of max_value or maxValue or x2.", "⟨Give the⟩ list ⟨of⟩ max_value ⟨or⟩ maxValue ⟨or⟩ x2."),
        ("Return True or NaN or MAX at 3 or 0x1f.", "⟨Return⟩ True ⟨or⟩ NaN ⟨or⟩ MAX ⟨at⟩ 3 ⟨or⟩ 0x1f."),
        ("Return 'yes' or \"not now\" or `a b`.", "⟨Return⟩ 'yes' ⟨or⟩ \"not now\" ⟨or⟩ `a b`."),
        ("Don't change the file's name.", "⟨Don't change the file's name⟩."),
        ("If n is the i'th or n-th or nth.", "⟨If⟩ n ⟨is the⟩ i'th ⟨or⟩ n-th ⟨or⟩ nth."),
        ("Take pairs (x, y) in [1, 5] of {a: b}.", "⟨Take pairs⟩ (x, y) ⟨in⟩ [1, 5] ⟨of⟩ {a: b}."),
        ("Round it (be aware of errors) once.", "⟨Round it⟩ (⟨be aware of errors⟩) ⟨once⟩."),
        ("Call len(items) and ord(c).", "⟨Call⟩ len(items) ⟨and⟩ ord(c)."),
        ("Use the Collatz rule. Then stop.", "⟨Use the⟩ Collatz ⟨rule⟩. ⟨Then stop⟩."),
        ("Use a tab\\tor a newline.", "⟨Use a⟩ tab\\tor ⟨a newline⟩."),
        ("Find the day of mm-dd-yyyy dates.", "⟨Find the day of⟩ mm-dd-yyyy ⟨dates⟩."),
        ("The 'key' is kept as key.", "⟨The⟩ 'key' ⟨is kept as⟩ key."),
        ("Give an open 'quote and more.", "⟨Give an open⟩ 'quote and more."),
        ('Give an open "quote and more.', '⟨Give an open⟩ "quote and more.'),
        ("Leave x such that x = 0.", "Leave x such that x = 0."),
        ("Add a value. For example, two words. Then more.", "⟨Add a value⟩. For example, two words. ⟨Then more⟩."),
    ],
)  # fmt: skip
def test_code_and_names_are_no_prose(docstring: str, expected: str) -> None:
    """Ordinary words are prose; names, types, literals, quotations, brackets and examples are not."""
    assert of_docstring(docstring) == expected


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Do it.\n    >>> f([1])\n    some output words\n\n    Then stop.\n    ",
         "⟨Do it⟩.\n    >>> f([1])\n    some output words\n\n    ⟨Then stop⟩.\n    "),
        ("Do it.\n\n    For example:\n    f of these words\n    more of them\n\n    Note that it ends.\n    ",
         "⟨Do it⟩.\n\n    For example:\n    f of these words\n    more of them\n\n    ⟨Note that it ends⟩.\n    "),
        ("Do it.\n    Examples\n      indented words\n\n      still indented words\n    ",
         "⟨Do it⟩.\n    Examples\n      indented words\n\n      still indented words\n    "),
        ("Do it.\n    f(2) gives two words\n    f() is named here\n    ",
         "⟨Do it⟩.\n    f(2) gives two words\n    f() ⟨is named here⟩\n    "),
        ("Do it.\n    one => two words\n    one ➞ two words\n    x <= y words\n    a - b words\n    ",
         "⟨Do it⟩.\n    one => two words\n    one ➞ two words\n    x <= y words\n    a - b words\n    "),
        ("Do it.\n    - first item\n    2. second item\n        a block of its own\n    ",
         "⟨Do it⟩.\n    - ⟨first item⟩\n    2. ⟨second item⟩\n        a block of its own\n    "),
        ("Do it.\n\n    Args:\n        items: the words\n    Input: some words\n    # a comment\n    ",
         "⟨Do it⟩.\n\n    Args:\n        items: the words\n    Input: some words\n    # a comment\n    "),
    ],
    ids=["doctest", "example", "indented example", "call", "operators", "list", "sections"],
)  # fmt: skip
def test_examples_and_blocks_are_no_prose(docstring: str, expected: str) -> None:
    """Examples reach to the next paragraph that is no example; lines of code are excluded one by one."""
    assert of_docstring(docstring) == expected


@pytest.mark.parametrize("quotes", ['"""', "'''", "'", '"'])
@pytest.mark.parametrize("prefix", ["", "r", "R", "u"])
def test_every_kind_of_string_is_read(quotes: str, prefix: str) -> None:
    """The prose lies between the quotes, whichever they are."""
    prompt = f"import re\n\n\ndef f(x):\n    {prefix}{quotes}Give some words.{quotes}\n"

    assert marked(prompt) == prompt.replace("Give some words", "⟨Give some words⟩")


def test_only_the_entry_points_docstring_counts() -> None:
    """Helpers, strings of the module and comments stay as they are; an import in front of the docstring is no harm."""
    prompt = (
        '"""Some words."""\ndef g():\n    """More words."""\n    return 1\n\n\n'
        'def f(x):\n    import math\n    """These words."""\n    # no words\n'
    )

    assert marked(prompt) == prompt.replace("These words", "⟨These words⟩")


@pytest.mark.parametrize(
    "prompt",
    [
        "def f(x):\n    # only a comment\n",
        "def f(x):\n    return x\n",
        'def g(x):\n    """Some words."""\n',
        'def f(x):\n    "Some words " "in two parts"\n',
        'def f(x):\n    f"""Some words."""\n',
        'def f(x):\n    b"""Some words."""\n',
        'def f(x):\n    """Some words.\n',
        "\0",
        "\ud800",
    ],
)
def test_where_there_is_no_such_docstring_there_is_no_prose(prompt: str) -> None:
    """No docstring, one in parts, a prompt that is no Python: no prose and no exception."""
    assert find_prose(prompt, "f").spans == ()


def test_an_unknown_escape_sequence_gives_no_warning() -> None:
    """Tests turn warnings into errors."""
    assert of_docstring("Match \\d and some words.") == "⟨Match⟩ \\d ⟨and some words⟩."


TEXT = st.lists(
    st.sampled_from(
        ["words", "of", "a", " ", "  ", "\n", "\n    ", "\t", "\r\n", "\f", "\x0b", "\u2028", "'", '"', "`", "(", ")",
         "[", "]", "{", "}", ">>> f(1)", "Example:", "- ", "1. ", "=", "é", "’", "\\", "\\n", "f(", "x", ".", "It's"]
    )
    | st.text(max_size=3),
    max_size=30,
).map("".join)  # fmt: skip


@given(text=TEXT, quotes=st.sampled_from(['"""', "'''"]), before=st.sampled_from(["", "x = 'é\\x0c'\n", "#\x0c\n"]))
def test_any_docstring_can_be_read(text: str, quotes: str, before: str) -> None:
    """Spans lie inside the docstring, in order, and hold words, blanks, commas and semicolons only."""
    prompt = f"{before}def f(x):\n    {quotes}{text}{quotes}\n"
    last = prompt.index(quotes) + len(quotes)

    for start, stop in find_prose(prompt, "f").spans:
        assert last <= start < stop <= len(prompt) - len(quotes) - 1
        assert prompt[start:stop].translate(str.maketrans("", "", " ,;'-")).isalpha()
        last = stop
