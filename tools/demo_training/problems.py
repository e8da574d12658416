"""Write the problems of the benchmark `micro`: `PYTHONPATH=tools python -m demo_training.problems`."""

import json
import sys
from itertools import zip_longest
from typing import Final

from demo_training import questions_lists, questions_mappings, questions_numbers, questions_texts
from demo_training.define import define
from demo_training.question import Question
from pytest_qeval.benchmarks.micro import PATH

_KINDS: Final = (
    questions_numbers.QUESTIONS,
    questions_lists.QUESTIONS,
    questions_texts.QUESTIONS,
    questions_mappings.QUESTIONS,
)
_STRIDE: Final = 7
"""Steps through each kind's list, which is ordered by theme, so that every stretch of problems is a fair mixture."""


def questions() -> tuple[Question, ...]:
    """Return all questions, the kinds taking turns."""
    turns = ([kind[place * _STRIDE % len(kind)] for place in range(len(kind))] for kind in _KINDS)
    return tuple(one for row in zip_longest(*turns) for one in row if one is not None)


def _solve(source: str, name: str, arguments: tuple[tuple[object, ...], ...]) -> list[tuple[str, str]]:
    function = define(source, name)
    return [(", ".join(map(repr, values)), repr(function(*values))) for values in arguments]


def problem(number: int, asked: Question) -> dict[str, str]:
    """Return one question in HumanEval's fields; expected values come from the reference code."""
    name, head = asked.entry_point, f"def {asked.signature}:\n"
    body = "".join(f"    {line}\n" for line in asked.solution.split("\n"))
    solved = _solve(head + body, name, (*asked.shown, *asked.hidden))
    shown = [line for call, value in solved[: len(asked.shown)] for line in (f">>> {name}({call})", value)]
    docstring = "\n    ".join([f'    """{asked.wording}', *shown, '"""\n'])
    checks = "".join(f"    assert candidate({call}) == {value}\n" for call, value in solved)
    return {
        "task_id": f"micro/{number}",
        "prompt": head + docstring,
        "entry_point": name,
        "canonical_solution": body,
        "test": f"def check(candidate):\n{checks}",
    }


def render() -> str:
    """Return the benchmark as JSON lines."""
    lines = (json.dumps(problem(number, asked), sort_keys=True) for number, asked in enumerate(questions()))
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write the benchmark's file."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{len(questions())} problems written to {PATH.name}\n")


if __name__ == "__main__":
    main()
