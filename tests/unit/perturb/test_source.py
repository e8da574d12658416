"""Positions in a program, and edits that keep all other text."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.perturb.source import (
    Edit,
    Source,
    apply_edits,
    bound_names,
    fresh_name,
    parse_program,
    walk_outside_f_strings,
)
from tests.unit.perturb.builders import problem, source_of


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\{}"), max_size=8))
def test_offsets_count_characters(text: str) -> None:
    """`ast` counts bytes of UTF-8; offsets count characters, whatever a line holds."""
    before = problem(f"x = ['{text}', n, '{text}', n]\n", "return x\n")
    source = Source.of(before)

    assert source
    for node in walk_outside_f_strings(source.function):
        if isinstance(node, ast.Name | ast.Constant):
            assert ast.dump(ast.parse(source.segment(node), mode="eval").body) == ast.dump(node).replace(
                "Store()", "Load()"
            )


@settings(deadline=None)
@given(st.data())
def test_edits_are_independent_of_each_other(data: st.DataObject) -> None:
    """Each edit replaces its own text, on both sides of the cut."""
    before = problem("x = n\ny = x\n", "z = y\nreturn z\n")
    names = [place for place, character in enumerate(source_of(before)) if character in "xyz"]
    chosen = data.draw(st.sets(st.sampled_from(names)))
    after = apply_edits(before, [Edit(start=place, end=place + 1, text="long") for place in sorted(chosen)])

    joined = "".join("long" if place in chosen else one for place, one in enumerate(source_of(before)))
    assert source_of(after) == joined
    assert len(after.prompt) == len(before.prompt) + 3 * sum(place < len(before.prompt) for place in chosen)


def test_an_insertion_at_the_cut_belongs_to_the_prompt() -> None:
    before = problem("x = n\n", "return x\n")
    after = apply_edits(before, [Edit(start=len(before.prompt), end=len(before.prompt), text="# end\n")])

    assert after == replace(before, prompt=before.prompt + "# end\n")


def test_an_edit_across_the_cut_changes_nothing() -> None:
    """It belongs to neither side."""
    before = problem("x = n\n", "return x\n")

    assert apply_edits(before, [Edit(start=len(before.prompt) - 1, end=len(before.prompt) + 1, text="")]) is before


@pytest.mark.parametrize("rest", ["return (\n", "return x\r\n", "return x\nreturn\f\n"])
def test_a_program_with_unknown_positions_has_no_source(rest: str) -> None:
    """It does not compile, or its lines are counted in two ways."""
    assert Source.of(problem("x = n\n", rest)) is None


def test_the_entry_point_is_a_function_of_the_module() -> None:
    assert Source.of(replace(problem("x = n\n", "return x\n"), entry_point="fresh")) is None


def test_what_parses_but_does_not_compile_is_no_program() -> None:
    """`return` outside a function, as in ReCode's HumanEval/105."""
    assert parse_program("return 1\n") is None
    assert parse_program("x = '\\d'\n") is not None  # a warning about the data's own code is ignored


def test_a_fresh_name_is_no_word_of_the_problem() -> None:
    """Prose counts too: a variable must not have the name of something in the docstring."""
    assert fresh_name("fresh", problem("fresh = fresh_2 = n\n", "return fresh\n")) == "fresh_3"
    assert fresh_name("Compute", problem("", "return n\n")) == "Compute_2"


def test_an_f_string_is_one_string() -> None:
    """It is one token before Python 3.12, and many tokens since."""
    source = Source.of(problem("x = f'{n!r:{n}} {\"a\"}' + 'b'\n", "return x\n"))

    assert source
    assert [source.text[low:high] for low, high in source.string_spans][1:] == ["f'{n!r:{n}} {\"a\"}'", "'b'"]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x = y", {"x"}),
        ("for i, (j, *k) in x: pass", {"i", "j", "k"}),
        ("def f(a, /, b, *c, d=e, **g): pass", {"f", "a", "b", "c", "d", "g"}),
        ("class A(B): pass", {"A"}),
        ("import a.b, c as d", {"a", "d"}),
        ("try: pass\nexcept E as e: pass", {"e"}),
        ("match x:\n  case {'k': a, **b}: pass\n  case [c, *d] as e: pass", {"a", "b", "c", "d", "e"}),
        ("(x := y)", {"x"}),
        ("del x", {"x"}),
    ],
)
def test_bound_names(code: str, names: set[str]) -> None:
    """Every statement that gives a name a value binds it; a read does not."""
    assert {name for node in ast.walk(ast.parse(code)) for name in bound_names(node)} == names
