"""Write the problems of the benchmark `micro`: `PYTHONPATH=tools python -m demo_training.problems`."""

import json
import sys
from itertools import zip_longest
from typing import Final

from demo_training import problems_lists, problems_mappings, problems_numbers, problems_texts
from demo_training.define import define
from demo_training.problem import MicroProblem
from pytest_qeval.benchmarks.micro import PATH

_KINDS: Final = (
    problems_numbers.PROBLEMS,
    problems_lists.PROBLEMS,
    problems_texts.PROBLEMS,
    problems_mappings.PROBLEMS,
)
_STRIDE: Final = 7
"""Steps through each kind's list, which is ordered by theme, so that every stretch of problems is a fair mixture."""


def problems() -> tuple[MicroProblem, ...]:
    """Return all problems, the kinds taking turns."""
    turns = ([kind[place * _STRIDE % len(kind)] for place in range(len(kind))] for kind in _KINDS)
    return tuple(one for row in zip_longest(*turns) for one in row if one is not None)


def _solve(source: str, name: str, arguments: tuple[tuple[object, ...], ...]) -> list[tuple[str, str]]:
    function = define(source, name)
    return [(", ".join(map(repr, values)), repr(function(*values))) for values in arguments]


def render_problem(number: int, problem: MicroProblem) -> dict[str, str]:
    """Return one problem in HumanEval's fields; expected values come from the reference code."""
    name, head = problem.entry_point, f"def {problem.signature}:\n"
    body = "".join(f"    {line}\n" for line in problem.solution.split("\n"))
    solved = _solve(head + body, name, (*problem.shown, *problem.hidden))
    shown = [line for call, value in solved[: len(problem.shown)] for line in (f">>> {name}({call})", value)]
    docstring = "\n    ".join([f'    """{problem.wording}', *shown, '"""\n'])
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
    lines = (json.dumps(render_problem(number, problem), sort_keys=True) for number, problem in enumerate(problems()))
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write the benchmark's file."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{len(problems())} problems written to {PATH.name}\n")


if __name__ == "__main__":
    main()
