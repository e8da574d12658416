"""The code of chat completions."""

from __future__ import annotations

import itertools
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qeval.benchmarks.extraction import extract_code
from tests.unit.benchmarks.completions import all_problems, chat_completions, function_in, has_body, whole_of

PROMPT = '''\
from typing import List


def double(x: int) -> int:
    return 2 * x


def total(numbers: List[int]) -> int:
    """ Add up the doubles of numbers.
    >>> total([1, 2])
    6
    """
'''
WHOLE = '''\
def total(numbers: List[int]) -> int:
    """ Add up. """
    return sum(double(x) for x in numbers)
'''
BODY = "    result = 0\n    for x in numbers:\n        result += double(x)\n    return result\n"
REDUCED = """\
import functools
import operator

total = lambda numbers: functools.reduce(operator.add, map(double, numbers), 0)
"""
CACHED = """\
from functools import lru_cache


@lru_cache(None)
def inner(n):
    return 2 * n


def total(numbers):
    return sum(map(inner, numbers))
"""
FILLED = """\
TABLE = {}


def fill():
    for n in range(9):
        print(n)
        TABLE[n] = 2 * n


fill()


def total(numbers):
    return sum(TABLE[n] for n in numbers)
"""
QUOTING = WHOLE.replace(" Add up. ", " Use it so:\n    ```\n    total([1])\n    ```\n    ")
TWO_BLOCKS = f"""\
```python
def scale(x):
    return 2 * x
```
and with it
```python
{WHOLE.replace("double", "scale")}```
"""
PROBLEMS = all_problems()


def program(completion: str, prompt: str = PROMPT, name: str = "total") -> str:
    return prompt + extract_code(completion, prompt=prompt, entry_point=name)


def run(code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "solution"}
    exec(compile(code, "<solution>", "exec", dont_inherit=True), namespace)  # noqa: S102 - this file's own text
    return namespace


def total_of(completion: str, prompt: str = PROMPT) -> Callable[..., Any]:
    function: Callable[..., Any] = run(program(completion, prompt))["total"]
    return function


@pytest.mark.parametrize(
    "completion",
    [
        WHOLE,
        BODY,
        textwrap.dedent(BODY),
        BODY.lstrip(),
        BODY.replace("    ", "\t"),
        textwrap.indent(WHOLE, "    "),
        f"```python\n{WHOLE}```",
        f"```python\n{WHOLE}",
        f"{WHOLE}```\n",
        f"~~~\n{WHOLE}~~~\nDone.",
        f"Here you are:\n\n{WHOLE}\nIt adds them up, doesn't it?",
        f"1. Code:\n   ```py\n{textwrap.indent(WHOLE, '   ')}   ```\n",
        f"{WHOLE}\n\ndef other(x):\n    return (",
        f"{WHOLE}\nand that is all",
        f"{WHOLE}<|im_end|>",
        "\n".join(f"{'...' if line[:1].isspace() else '>>>'} {line}" for line in WHOLE.splitlines()) + "\n6\n",
        f"```\npip install this\n```\n\n```python\n{WHOLE}```\n",
        f"```python\ndef total(\n```\nSorry, again:\n```python\n{WHOLE}```",
        REDUCED,
        CACHED,
        "def total(numbers):\n    return later(numbers)\n\n\ndef later(numbers):\n    return 2 * sum(numbers)\n",
        "def total(numbers):\n    return 0\n\n\ndef total(numbers):\n    return 2 * sum(numbers)\n",
        "class Adder:\n    def add(self, numbers):\n        return 2 * sum(numbers)\n\n\ntotal = Adder().add\n",
        f"from typing import *\n{WHOLE}",
        f"from __future__ import annotations\n\n\n{WHOLE.replace('-> int', '-> Unknown')}",
        "if True:\n    def total(numbers):\n        return 2 * sum(numbers)\nelse:\n    total = None\n",
        FILLED,
        QUOTING,
        TWO_BLOCKS,
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_right_code_is_right_in_any_shape(completion: str, ends: str) -> None:
    assert total_of(completion.replace("\n", ends))([1, 2]) == 6


@pytest.mark.parametrize(
    "tail",
    [
        "print(total([1, 2]))",
        "assert total([1]) == 3",
        "n = int(input())\nvalues = [0] * n\nprint(total(values))",
        "result = total('nonsense' + 1)\nprint(result)",
        "def main():\n    n = int(input())\n    print(total([n]))\n\n\nmain()",
        "for case in [[1], [2]]:\n    assert total(case) == 0, case",
        "while True:\n    print(total(eval(input())))",
        "if __name__ == '__main__':\n    import doctest\n    doctest.testmod()",
        "import sys\nfor line in sys.stdin:\n    print(line)",
        "exit()",
        "try:\n    print(total(input()))\nfinally:\n    print(undefined)",
    ],
)
@pytest.mark.parametrize("code", [WHOLE, BODY], ids=["whole", "body"])
def test_usage_examples_are_removed(code: str, tail: str) -> None:
    """They would fail, or wait for input, before the function is judged."""
    assert total_of(f"{code}\n\n{tail}\n")([1, 2]) == 6


@pytest.mark.parametrize(
    "line",
    [
        "import sys; print(total([1]))",
        "sys.setrecursionlimit(10**6)",
        "random.seed(0)",
        "total.cache = {}",
        "TABLE = build()",
        "memo = {}",
        "total = wrap(total)",
        "register(total).done = True",
    ],
)
def test_statements_that_may_matter_are_kept(line: str) -> None:
    """Shared lines, settings of modules, and what the function or its state needs."""
    helpers = "import random\nimport sys\n\n\ndef build():\n    return {}\n\n\ndef wrap(f):\n    return f\n\n\n"
    assert line in program(f"{helpers}{WHOLE}\n\n{line}\n")


def test_data_that_the_function_reads_is_not_touched() -> None:
    """A call that prints may also fill a table; it is kept with its print."""
    fill = "def fill(f):\n    print(f)\n    seen.append(7)\n\n\nfill(total)\n"
    completion = f"seen = []\n\n\ndef total(numbers):\n    return seen[0]\n\n\n{fill}"
    assert total_of(completion)([1]) == 7


@pytest.mark.parametrize(
    "completion",
    [
        "I am sorry, I cannot do that.",
        "def sum_up(numbers):\n    return 2 * sum(numbers)\n",
        "class Solution:\n    def total(self, numbers):\n        return 2 * sum(numbers)\n",
        "```python\nprint(6)\n```",
        "# to be written",
        "result = 6",
        "Solution",
    ],
)
def test_without_the_function_there_is_none(completion: str) -> None:
    """The prompt's unfinished function is removed: it would return None and look like a wrong solution."""
    assert "total" not in run(program(completion))


@pytest.mark.parametrize("thought", ["<think>\n{}</think>\n\n", "<think>{}</think>", "Hm.\n{}\n</think>\n"])
@pytest.mark.parametrize("draft", [WHOLE.replace("double(x)", "x"), "```python\ndef total(numbers): ...\n```\n"])
def test_a_draft_in_the_reasoning_is_not_the_solution(thought: str, draft: str) -> None:
    assert total_of(thought.format(draft) + WHOLE)([1, 2]) == 6
    assert total_of(f"{thought.format(draft)}It is this:\n```python\n{WHOLE}```\n")([1, 2]) == 6
    assert "total" not in run(program(thought.format(draft)))


def test_code_may_contain_reasoning_marks() -> None:
    assert total_of(f'MARK = "</think>"\n\n\n{WHOLE}')([1, 2]) == 6


@pytest.mark.parametrize(
    "completion",
    [
        "def total(numbers):\n    return (sum(numbers)\n",
        "```python\ndef total(numbers):\n    for x in numbers\n        return x\n```\nDone.",
        "    for x in numbers:\n        return (x\n",
        "def total(numbers):\n\treturn 1\n        return 2\n",
    ],
)
def test_broken_code_stays_broken(completion: str) -> None:
    with pytest.raises(SyntaxError):
        compile(program(completion), "<solution>", "exec")


def test_a_return_outside_of_the_function_is_not_put_into_it() -> None:
    assert total_of("def total(numbers):\n    result = 6\nreturn result\n")([1, 2]) is None


def test_a_function_that_is_cut_off_is_not_completed() -> None:
    """The first half of a function that the token limit cut is no function."""
    completion = "def total(numbers):\n    if not numbers:\n        return 0\n    result = sum(\n"
    with pytest.raises(SyntaxError):
        compile(program(completion), "<solution>", "exec")


def test_a_builtin_name_keeps_its_meaning() -> None:
    """Where the prompt begins a function `sum`, a completion may call the builtin before it defines its own."""
    prompt = 'def sum(numbers):\n    """Add up."""\n'
    completion = "ten = sum([4, 6])\n\n\ndef sum(numbers):\n    return ten\n"
    assert run(program(completion, prompt, "sum"))["sum"]([]) == 10


@pytest.mark.parametrize(
    "prompt", ["def total(numbers):\n", "class A: pass\n\ndef total(numbers):\n  if numbers:\n", ""]
)
def test_a_prompt_need_not_be_a_program_by_itself(prompt: str) -> None:
    """A user's prompt may lack a docstring, or end within a block."""
    assert total_of("def total(numbers):\n    return 6\n", prompt)([1]) == 6


def test_deep_nesting_is_accepted() -> None:
    """What Python's own compiler takes, its tree visitors may not."""
    completion = f"from __future__ import annotations\nx = {'+'.join('1' * 900)}\n\n\n{WHOLE}"
    assert "def total" in program(completion)


def test_an_endless_completion_is_not_searched() -> None:
    completion = "x = 1\n" * 10_000
    assert program(completion) == PROMPT + completion


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_reference_is_found_in_any_completion(data: st.DataObject) -> None:
    """HumanEval, micro and, where its data are, MBPP: the function that is executed is the reference's."""
    problem = data.draw(st.sampled_from(PROBLEMS))
    completion = data.draw(chat_completions(problem))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = problem.prompt + extract_code(completion, prompt=problem.prompt, entry_point=problem.entry_point)
        assert function_in(code, problem.entry_point) == function_in(whole_of(problem), problem.entry_point)


def test_a_whole_program_is_taken_as_it_is() -> None:
    """All problems, in one shape each: not a character is changed."""
    shapes = ("{}", "```python\n{}\n```", "Here it is:\n```\n{}", "{}\n```\nDone.")
    for problem, shape in zip(PROBLEMS, itertools.cycle(shapes), strict=False):
        whole = whole_of(problem)
        code = extract_code(shape.replace("{}", whole), prompt=problem.prompt, entry_point=problem.entry_point)
        assert whole.rstrip() in code.rstrip(), (problem.task_id, shape)


def test_a_body_is_taken_as_it_is() -> None:
    """All problems with a function to complete: the program is that of the completion style."""
    for problem in filter(has_body, PROBLEMS):
        body = problem.canonical_solution
        assert extract_code(body, prompt=problem.prompt, entry_point=problem.entry_point) == body, problem.task_id


@given(st.text(), st.sampled_from([PROMPT, '"""\nAdd up.\n"""\n', ""]))
def test_any_text_is_accepted(text: str, prompt: str) -> None:
    """Whatever a model generates becomes a program, which may fail when it is executed."""
    assert isinstance(extract_code(text, prompt=prompt, entry_point="total"), str)


@given(st.lists(st.sampled_from([*WHOLE.splitlines(), "```", "```python", ">>> total", "", "(", '"""', "else:", "\t"])))
def test_any_sequence_of_lines_is_accepted(lines: list[str]) -> None:
    assert isinstance(extract_code("\n".join(lines), prompt=PROMPT, entry_point="total"), str)
