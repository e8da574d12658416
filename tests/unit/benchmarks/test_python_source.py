"""Text that may be a program, in Python's own view."""

from __future__ import annotations

import pytest

from pytest_qeval.benchmarks.python_source import (
    bound_names,
    compiles,
    find_statements,
    global_reads,
    longest_prefix,
    remove_future_imports,
    unbound_names,
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("x = 1", True), ("", True), ("'\\d'", True), ("x = (", False), ("return 1", False), ("'\0'", False)],
)
def test_only_whole_programs_compile(code: str, *, expected: bool) -> None:
    assert compiles(code) == expected


def test_names_are_bound_in_any_way() -> None:
    """Definitions, assignments, imports, and assignments of functions to globals; not their local names."""
    code = "import os.path\nclass A: pass\ndef f():\n    global g\n    g = local = 1\nfor i in (): x = 1\n"

    assert bound_names(code) == {"os", "A", "f", "g", "i", "x"}


def test_names_that_nobody_binds_are_found() -> None:
    """Builtin names are bound by Python."""
    assert unbound_names("def f(x):\n    return len(x) + helper(limit)\nlimit = 1\n") == {"helper"}


def test_global_reads_include_the_header() -> None:
    """Decorators, defaults and base classes."""
    reads = global_reads("@cache\ndef f(x=DEFAULT):\n    return g(x)\nclass A(B): pass\n")

    assert reads["f"] >= {"cache", "DEFAULT", "g"}
    assert reads["A"] == {"B"}


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("x = 1\ny = 2\n", "x = 1\ny = 2\n"),
        ("x = 1\ndef f():\n    return (", "x = 1\n"),
        ("x = 1\nhere be prose\n", "x = 1\n"),
        ("here be prose\n", ""),
    ],
)
def test_the_longest_prefix_ends_between_statements(text: str, prefix: str) -> None:
    """A function that is cut off is left out."""
    assert longest_prefix(text) == prefix


def test_statements_are_found_between_sentences() -> None:
    """Words that happen to be Python are no statements."""
    text = "Solution\n\nHere it is.\n\ndef f():\n    return 1\n\nIt is short.\n"

    assert find_statements(text).split() == ["def", "f():", "return", "1"]


def test_future_imports_are_removed() -> None:
    """Annotations become strings, as the import makes them."""
    code = "from __future__ import annotations\n\ndef f(x: Unknown) -> Other:\n    y: Third = 1\n    return y\n"

    assert remove_future_imports(code) == "def f(x: 'Unknown') -> 'Other':\n    y: 'Third' = 1\n    return y\n"
    assert remove_future_imports("def f(x:Unknown): pass") == "def f(x:Unknown): pass"
