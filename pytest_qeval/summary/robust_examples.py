"""What broke, for a person to look at: perturbed questions that only the candidate cannot answer any more."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence

from pytest_qeval.facts import PerturbationFacts
from pytest_qeval.perturb.perturbed_problems import HALF
from pytest_qeval.perturb.prompt_diff import prompt_diff
from pytest_qeval.perturb.source import Function, docstring_of, parse_program
from pytest_qeval.schema import Case, Record, Sample
from pytest_qeval.summary.robust_results import BrokenExample

__all__ = ["broken_examples"]

_EXAMPLES = 3
_Found = Mapping[tuple[str, Case], Record]


def broken_examples(
    cases: Sequence[Case], found: _Found, facts: Sequence[PerturbationFacts], *, recipe: str, baseline: str
) -> tuple[BrokenExample, ...]:
    """Choose the problems that broke under most perturbations, and one case of each.

    A case has broken when both recipes solve the problem nominal, and only the baseline solves it perturbed.

    Args:
        cases: Planned, of one benchmark, nominal ones included.
        found: Records by recipe and case.
        facts: The perturbations.
        recipe: The candidate.
        baseline: What it is compared with.
    """
    forms = {one.name: one.form for one in facts}
    broken = [case for case in cases if case.perturbation in forms and _broke(case, forms, found, recipe, baseline)]
    worst = [task_id for task_id, _ in Counter(case.task_id for case in broken).most_common(_EXAMPLES)]
    first = (next(case for case in broken if case.task_id == task_id) for task_id in worst)
    return tuple(_example(found[recipe, case], found[recipe, _nominal(case, forms)]) for case in first)


def _nominal(case: Case, forms: Mapping[str, str]) -> Case:
    half = forms[str(case.perturbation)] == "half"
    return Case(benchmark=case.benchmark, task_id=case.task_id, perturbation=HALF if half else None)


def _broke(case: Case, forms: Mapping[str, str], found: _Found, recipe: str, baseline: str) -> bool:
    nominal = _nominal(case, forms)
    solved = [
        one is not None and one.outcome == "solved"
        for one in (found.get((name, which)) for name in (baseline, recipe) for which in (nominal, case))
    ]
    return solved == [True, True, True, False] and (recipe, case) in found


def _example(record: Record, nominal: Record) -> BrokenExample:
    before = next(one for one in nominal.samples if one.execution.status == "passed")
    after = record.samples[0]
    return BrokenExample(
        case=record.case.label,
        reason=record.reason,
        prompt_diff=record.prompt_diff,
        completion_diff=prompt_diff(_said(before), _said(after), record.case.label),
    )


def _said(sample: Sample) -> str:
    """Return an answer; of a chat model's, the program without docstrings: those are the question's, said again."""
    if sample.extracted is None:
        return sample.completion.text
    # Behind the line that lets go of what the prompt has begun; before it the prompt's function is only closed.
    program = sample.extracted.partition("\n\ndel ")[2].partition("\n")[2].strip("\n") or sample.extracted
    tree = parse_program(program)
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)] if tree else []
    told = [found for node in functions if (found := docstring_of(node))]
    repeated = {number for one in told for number in range(one.lineno, (one.end_lineno or one.lineno) + 1)}
    lines = enumerate(program.splitlines(), start=1)
    return "\n".join(line for number, line in lines if number not in repeated)
