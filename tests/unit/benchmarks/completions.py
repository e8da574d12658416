"""Completions in the shapes of chat models, made from a known solution."""

from __future__ import annotations

import ast
import os
import textwrap
from pathlib import Path

from hypothesis import strategies as st

from pytest_qeval.benchmarks.humaneval import HUMANEVAL
from pytest_qeval.benchmarks.mbpp import MBPP, MBPP_FUNCTION
from pytest_qeval.benchmarks.micro import MICRO
from pytest_qeval.schema import Problem

DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
HAS_MBPP = (DATA / "mbpp.jsonl").is_file()


def all_problems() -> list[Problem]:
    """Return every problem whose data are here."""
    sources = [HUMANEVAL, MICRO, *([MBPP, MBPP_FUNCTION] if HAS_MBPP else [])]
    return [problem for source in sources for problem in source.load(DATA if HAS_MBPP else None).problems.values()]


def whole_of(problem: Problem) -> str:
    """Return a problem's reference as a program of its own."""
    return problem.prompt + problem.canonical_solution


def has_body(problem: Problem) -> bool:
    """Return whether the prompt ends within the function, so that a body alone solves it."""
    return f"def {problem.entry_point}(" in problem.prompt


_PROSE = [
    "Sure! Here's the function you asked for:\n\n",
    "Here is the code.\n",
    "### Solution\n\nWe can't do better than O(n), as *every* item has to be looked at.\n\n",
    "Solution:\n",
    "Note: this assumes that the input isn't empty.\n\n",
]
_AFTER = [
    "\nThis function goes through the input once.\n",
    "\n### Explanation\n\n1. It starts.\n2. It's done, isn't it?\n",
    "\nLet me know if you'd like me to explain (in detail",
]


_TESTS = (
    "# Example usage\nprint(NAME(1, 2, 3))\n",
    "assert NAME('x') == 'what no function returns'\n",
    "if __name__ == '__main__':\n    print(NAME(int(input())))\n",
    "result = NAME(input('number: '))\nprint(f'{result}')\n",
    "def main():\n    n = int(input())\n    print(NAME(n))\n\n\nmain()\n",
    "test_cases = [(1, 2), (3, 4)]\nfor case in test_cases:\n    print(case, NAME(*case))\n",
    "import unittest\n\n\nclass T(unittest.TestCase):\n    def test(self):\n        NAME()\n\n\nunittest.main()\n",
    "while True:\n    line = input()\n    if not line:\n        break\n    print(NAME(line))\n",
)


@st.composite
def chat_completions(draw: st.DrawFn, problem: Problem) -> str:
    """Draw a completion that contains the reference, well or badly presented."""
    code = draw(st.sampled_from([whole_of(problem), *([problem.canonical_solution] * has_body(problem))]))
    is_body = code == problem.canonical_solution and has_body(problem)
    if is_body and draw(st.booleans()):
        code = textwrap.dedent(code)
    code = code.rstrip("\n") + "\n"
    code += (
        "\n\n" + draw(st.sampled_from(["", "", *_TESTS])).replace("NAME", problem.entry_point) if not is_body else ""
    )
    shape = draw(st.sampled_from(["bare", "fenced", "unclosed", "closed only", "listed", "broken after"]))
    if shape == "bare" and not is_body:
        code = draw(st.sampled_from(["", *_PROSE])) + code + draw(st.sampled_from(["", *_AFTER]))
    elif shape == "fenced":
        fence = draw(st.sampled_from(["```", "````", "~~~"]))
        language = draw(st.sampled_from(["python", "", "Python", "py"]))
        block = f"{fence}{language}\n{code}{fence}\n"
        other = draw(st.sampled_from(["", "```bash\npip install numpy\n```\n\n"]))
        code = draw(st.sampled_from(["", *_PROSE])) + other + block + draw(st.sampled_from(["", *_AFTER]))
    elif shape == "unclosed":
        code = draw(st.sampled_from(["", *_PROSE])) + f"```python\n{code}"
    elif shape == "closed only":
        code = f"{code}```\n" + draw(st.sampled_from(["", *_AFTER]))
    elif shape == "listed" and "\\\n" not in code:
        code = "1. The code:\n\n" + textwrap.indent(f"```python\n{code}```", "   ", lambda _: True) + "\n"
    elif shape == "broken after":
        code += "\n\ndef helper(x):\n    return (x +"
    return code.replace("\n", "\r\n") if draw(st.booleans()) else code


def function_in(code: str, name: str) -> str:
    """Return the syntax tree of the body of a function's last definition, without its docstring."""
    with_name = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef) and node.name == name]
    body = with_name[-1].body
    return "\n".join(ast.dump(node) for node in (body[1:] if ast.get_docstring(with_name[-1]) is not None else body))
