"""Where ReCode's released prompts are valid, ours are the same; every difference has a reason."""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from pytest_qeval import registry
from pytest_qeval.perturb.base import half_given, perturb_problem
from pytest_qeval.perturb.source import parse_program
from pytest_qeval.schema import Problem
from tests.unit.perturb.builders import DATA, needs_recode, problems

pytestmark = needs_recode


@cache
def _released(name: str) -> Mapping[str, Problem]:
    """Read one of ReCode's files, by task id."""
    fields = ("task_id", "prompt", "entry_point", "test", "canonical_solution")
    with gzip.open(DATA / "recode" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["task_id"]: Problem(benchmark="humaneval", **{field: row[field] for field in fields}) for row in rows}


def _differing(name: str, file: str, base: Mapping[str, Problem], same: Callable[[str, str], bool]) -> list[int]:
    """Return the numbers of the problems whose prompt is not ReCode's."""
    perturbation = registry.load("perturbations", name)
    theirs = _released(f"humaneval_s0/{file}_s0")
    ours = {task_id: perturb_problem(problem, perturbation, 0) for task_id, problem in base.items()}
    return [
        int(task_id.partition("/")[2])
        for task_id, problem in ours.items()
        if not same(problem.prompt, theirs[task_id].prompt)
    ]


def _equal(ours: str, theirs: str) -> bool:
    return ours == theirs


def test_halves() -> None:
    """The given half is ReCode's wherever there is one.

    37 solutions have one line, and there ReCode has the nominal problem. In HumanEval/134 the half that it moves into
    the prompt is a line of one blank: for us no half.
    """
    theirs = _released("nominal/humaneval_partial")
    ours = {problem.task_id: half_given(problem) for problem in problems("humaneval")}
    agreeing = [task_id for task_id, half in ours.items() if half and half == theirs[task_id]]
    whole = [problem.task_id for problem in problems("humaneval") if theirs[problem.task_id] == problem]

    assert len(agreeing) == 126
    assert len(whole) == 37
    assert {task_id for task_id, half in ours.items() if half is None} == {*whole, "HumanEval/134"}


def test_camel_case() -> None:
    """All names and all prompts are the same; ReCode leaves the old name in solutions and tests."""
    whole = {problem.task_id: problem for problem in problems("humaneval")}

    assert _differing("name_camel_case", "func_name/humaneval_FuncRenameCamelCase", whole, _equal) == []


@pytest.mark.parametrize(
    ("name", "file", "differing"),
    [
        ("new_line_after_code", "new_line_aftercode", []),
        ("new_line_after_doc", "new_line_afterdoc", []),
        # Blocks that are indented by two more or by six blanks: ReCode mixes tabs and blanks, ours is a tab a block.
        ("tab_indent", "tab_indent", [80, 109]),
    ],
)
def test_format(name: str, file: str, differing: list[int]) -> None:
    """Byte for byte the same, on ReCode's own half-given prompts, the 37 whole ones among them."""
    base = _released("nominal/humaneval_partial")

    assert _differing(name, f"format/humaneval_{file}", base, _equal) == differing


def test_doc_to_comments() -> None:
    """The same but for lines without text: ReCode makes comments of blanks or keeps their blanks, in 23 prompts."""
    base = _released("nominal/humaneval_partial")
    file = "format/humaneval_doc2comments"

    def same(ours: str, theirs: str) -> bool:
        lines = ([line for line in prompt.splitlines() if line.strip(" #")] for prompt in (ours, theirs))
        return next(lines) == next(lines)

    assert len(_differing("doc_to_comments", file, base, _equal)) == 23
    assert _differing("doc_to_comments", file, base, same) == []


def test_operand_swap() -> None:
    """Of 164 given halves 146 have the same syntax tree; ReCode formats all of them anew."""
    base = _released("nominal/humaneval_partial")
    theirs = _released("humaneval_s0/natgen/humaneval_OperandSwap_s0")
    differing = _differing("operand_swap", "natgen/humaneval_OperandSwap", base, _same_code)
    left_alone = [
        number
        for number in differing
        if _same_code(theirs[f"HumanEval/{number}"].prompt, base[f"HumanEval/{number}"].prompt)
    ]

    # ReCode changed nothing but the formatting: 24 rows in all, in 10 of which there is nothing to swap.
    assert left_alone == [9, 56, 61, 94, 107, 110, 111, 114, 119, 127, 129, 131, 132, 148]
    # 71 and 92: ReCode swaps the last comparison of the line, we the first. 19 and 105: ReCode's prompts lost their
    # indentation, so the half is outside the function and holds nothing to swap.
    assert sorted({*differing} - {*left_alone}) == [19, 71, 92, 105]


def _same_code(ours: str, theirs: str) -> bool:
    """Compare two prompts whose last block may be open, by their syntax trees without docstrings."""
    return _tree(ours) == _tree(theirs)


def _tree(prompt: str) -> str:
    """Close whatever block the last line opened, and leave out strings that stand alone."""
    lines = prompt.rstrip().splitlines()
    indentation = len(lines[-1]) - len(lines[-1].lstrip())
    closed = "\n".join(lines) + ("\n" + " " * (indentation + 1) + "pass" if lines[-1].endswith(":") else "")
    tree = parse_program(closed) or parse_program(f"{closed}\n    finally:\n        pass")
    if tree is None:
        return closed
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [one for one in node.body if not isinstance(getattr(one, "value", None), ast.Constant)]
    return ast.dump(tree)
