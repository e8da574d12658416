"""Functions without their docstrings: a prompt must not contain the reference."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.benchmarks.text.docstrings import remove_docstring

BODY = "    return x\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (f'def f(x):\n    """Give x."""\n{BODY}', f"def f(x):\n{BODY}"),
        (f'def f(x):\n    """Give x.\n\n    And no more.\n    """\n\n{BODY}', f"def f(x):\n{BODY}"),
        (f"def f(x):\n    r'Give \\x.'  # raw\n{BODY}", f"def f(x):\n{BODY}"),
        (f'def f(x):\n    # first\n    "Give" \\\n        "x."\n{BODY}', f"def f(x):\n    # first\n{BODY}"),
        ('def f(x): "Give x."; return x\n', "def f(x): return x\n"),
        ('def f(x): "Give x."\n', "def f(x):\n"),
        (f"@g(a, b=lambda y: y)\nasync def f(x: int = {{1: 2}}[1]):\n    'Give x.'\n{BODY}", None),
        (f"def f(x):\n{BODY}", f"def f(x):\n{BODY}"),
        ("def f(x):\n    'a'.join(x)\n", "def f(x):\n    'a'.join(x)\n"),
        ("def f(x):\n    y = 'Give x.'\n    return y\n", "def f(x):\n    y = 'Give x.'\n    return y\n"),
        ("def f(x):\n    'Give x.'\n    print x, `x`, 0777\n", "def f(x):\n    print x, `x`, 0777\n"),
        ("def f(x):\n    ur'Give x.'\n    exec 'x'\n", "def f(x):\n    exec 'x'\n"),
        ("def f(x):\n    f'Give {x}.'\n    return x\n", "def f(x):\n    f'Give {x}.'\n    return x\n"),
        ("def f(x):\n\t'Give\fx.'\n\treturn x\n", "def f(x):\n\treturn x\n"),
    ],
    ids=[
        "one-line", "blank-line-after", "raw-with-comment", "two-strings", "one-liner", "nothing-else", "decorated",
        "none", "expression", "assigned", "python-2", "python-2-prefix", "formatted", "form-feed",
    ],
)  # fmt: skip
def test_only_the_docstring_goes(code: str, expected: str | None) -> None:
    """With its lines and the blank ones after it; whatever else there is stays as it is."""
    assert remove_docstring(code) == (expected if expected is not None else code.replace("    'Give x.'\n", ""))


def test_what_has_no_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="its tokens cannot be read"):
        remove_docstring('def f(x):\n    """never closed\n')


@given(text=st.text("ab .\n'\"\\#:", max_size=20), quotes=st.sampled_from(['"""', "'''"]), blank=st.booleans())
def test_no_parser_finds_a_docstring_afterwards(*, text: str, quotes: str, blank: bool) -> None:
    """Whatever the docstring says, the function is the same without it."""
    docstring = text.replace("\\", "").replace(quotes[0], "")
    code = f"def f(x, y={{}}):\n    {quotes}{docstring}{quotes}\n{chr(10) * blank}    y[x] = ':'\n    return y\n"
    function = ast.parse(remove_docstring(code)).body[0]

    assert isinstance(function, ast.FunctionDef)
    assert ast.unparse(function) == "def f(x, y={}):\n    y[x] = ':'\n    return y"
