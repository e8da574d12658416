"""Places in a program, and edits that leave the rest alone."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.perturb.source import Edit, Source, edited, fresh_name, outside_f_strings, parsed, string_spans
from tests.unit.perturb.builders import problem, source_of


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\{}"), max_size=8))
def test_offsets_count_characters(text: str) -> None:
    """`ast` counts bytes of UTF-8; whatever a line holds, a node is found where it is."""
    before = problem(f"x = ['{text}', n, '{text}', n]\n", "return x\n")
    source = Source.of(before)

    assert source
    for node in outside_f_strings(source.function):
        if isinstance(node, ast.Name | ast.Constant):
            found = source.text[source.start(node) : source.end(node)]
            assert ast.dump(ast.parse(found, mode="eval").body) == ast.dump(node).replace("Store()", "Load()")


@settings(deadline=None)
@given(st.data())
def test_edits_are_independent_of_each_other(data: st.DataObject) -> None:
    """Each replaces its own piece, on both sides of the cut, and the cut stays between them."""
    before = problem("x = n\ny = x\n", "z = y\nreturn z\n")
    names = [place for place, character in enumerate(source_of(before)) if character in "xyz"]
    chosen = data.draw(st.sets(st.sampled_from(names)))
    after = edited(before, [Edit(start=place, end=place + 1, text="long") for place in sorted(chosen)])

    assert after
    joined = "".join("long" if place in chosen else one for place, one in enumerate(source_of(before)))
    assert source_of(after) == joined
    assert len(after.prompt) == len(before.prompt) + 3 * sum(place < len(before.prompt) for place in chosen)


def test_what_is_inserted_at_the_cut_is_given() -> None:
    """It belongs to the prompt."""
    before = problem("x = n\n", "return x\n")
    after = edited(before, [Edit(start=len(before.prompt), end=len(before.prompt), text="# end\n")])

    assert after == replace(before, prompt=before.prompt + "# end\n")


def test_an_edit_across_the_cut_is_none() -> None:
    """Nobody knows which side it belongs to."""
    before = problem("x = n\n", "return x\n")

    assert edited(before, [Edit(start=len(before.prompt) - 1, end=len(before.prompt) + 1, text="")]) is None


@pytest.mark.parametrize("rest", ["return (\n", "return x\r\n", "return x\nreturn\f\n"])
def test_what_cannot_be_placed_is_none(rest: str) -> None:
    """Programs that do not compile, or whose lines Python counts otherwise."""
    assert Source.of(problem("x = n\n", rest)) is None


def test_the_entry_point_has_to_be_there() -> None:
    """At module level, as a function."""
    assert Source.of(replace(problem("x = n\n", "return x\n"), entry_point="fresh")) is None


def test_what_parses_but_does_not_compile_is_no_program() -> None:
    """`return` outside a function, as in ReCode's HumanEval/105."""
    assert parsed("return 1\n") is None
    assert parsed("x = '\\d'\n") is not None  # a warning about the data's own code is not ours


def test_a_fresh_name_is_no_word_of_the_problem() -> None:
    """Prose counts too: a variable must not be called like something that the docstring speaks of."""
    assert fresh_name("fresh", problem("fresh = fresh_2 = n\n", "return fresh\n")) == "fresh_3"
    assert fresh_name("Answer", problem("", "return n\n")) == "Answer_2"


def test_an_f_string_is_one_string() -> None:
    """Before Python 3.12 it is one token, after it many."""
    source = Source.of(problem("x = f'{n!r:{n}} {\"a\"}' + 'b'\n", "return x\n"))

    assert source
    assert [source.text[low:high] for low, high in string_spans(source)][1:] == ["f'{n!r:{n}} {\"a\"}'", "'b'"]
