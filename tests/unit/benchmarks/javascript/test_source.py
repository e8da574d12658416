"""Completions of JavaScript: where the function ends, what is empty, and which code a chat completion holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.javascript.source import STOPS, end_function, extract_code, is_blank

BLOCK = "function f(x) {\n  return x;\n}"


@pytest.mark.parametrize(
    ("completion", "follow_up"),
    [
        ("  return x;", "  return x;\n}\n"),
        ("  return x;\n}\n\nconsole.log(f(1));\n", "  return x;\n}\n"),
        ("  return x; }", "  return x; }"),
        ("  if (x) { return 1; }\n  return 2;\n\n", "  if (x) { return 1; }\n  return 2;\n}\n"),
        ("  return '}';", "  return '}';\n}\n"),
        ("  return `}`; // }", "  return `}`; // }\n}\n"),
        ("  return x.replace(/[}]/g, '');", "  return x.replace(/[}]/g, '');\n}\n"),
        ("  /* } */ return x / 2; }", "  /* } */ return x / 2; }"),
        ("}\nfunction f(x) {\n  return x;\n}\n", "}\nfunction f(x) {\n  return x;\n}\n"),
        ("", "\n}\n"),
    ],
)
def test_a_function_ends_with_its_brace(completion: str, follow_up: str) -> None:
    """The first brace at column 0 ends it; where generation stopped before it, it is put back."""
    assert end_function(completion) == follow_up


@given(st.text(alphabet="{}\n \"'`/*ax;=()"))
def test_an_ended_function_is_left_alone(completion: str) -> None:
    """So that a samples file is replayed with the same programs."""
    once = end_function(completion)

    assert end_function(once) == once


@pytest.mark.parametrize("completion", ["", " \n\t", "// only\n/* a\ncomment */\n}\n", "/* not ended", "}"])
def test_comments_are_no_code(completion: str) -> None:
    """Nor is the end of the function."""
    assert is_blank(completion)


@pytest.mark.parametrize("completion", ["  return 1;", "// one\nreturn x", "'//'", "/**/ ;", "/ 2"])
def test_code_is_not_blank(completion: str) -> None:
    """Also beside comments."""
    assert not is_blank(completion)


def test_no_stop_string_can_stand_in_an_indented_body() -> None:
    """Each begins a line at column 0; declarations are missing, since a body may begin there."""
    assert all(stop.startswith("\n") and not stop[1].isspace() for stop in STOPS)
    assert not {"\nconst", "\nlet", "\nvar", "\nif", "\nfor", "\nreturn", "\n//"} & set(STOPS)


@pytest.mark.parametrize(
    "completion",
    [
        BLOCK,
        f"{BLOCK}\n```\nIt returns x.",
        f"Of course:\n\n```javascript\n{BLOCK}\n```\n",
        f"```js\nlet draft = 1;\n```\nBetter:\n```js\n{BLOCK}\n```",
        f"<think>function f(x) {{}}</think>\n```javascript\n{BLOCK}\n```",
        f"```javascript\nexport {BLOCK}\n```",
        f"```javascript\nexport default {BLOCK}\n```",
    ],
    ids=["prefilled", "prefilled, closed", "fenced", "two blocks", "thought", "export", "default export"],
)
def test_the_function_is_found(completion: str) -> None:
    """It follows after the prompt's own function has been closed."""
    assert extract_code(completion, entry_point="f") == f"}}\n{BLOCK}\n"


def test_a_variable_is_assigned() -> None:
    """The prompt has declared the name, so that `const` would be an error; helpers keep theirs."""
    completion = "const two = 2;\nconst f = (x) => two * x;\n"

    assert extract_code(completion, entry_point="f") == "}\nconst two = 2;\nf = (x) => two * x;\n"


def test_a_body_continues_the_prompt() -> None:
    """Where no block defines the function."""
    assert extract_code("```javascript\n  return x;\n```", entry_point="f") == "  return x;\n}\n"
    assert extract_code("", entry_point="f") == ""
