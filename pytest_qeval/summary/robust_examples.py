"""Perturbed problems that only the candidate fails, with diffs of prompts and completions."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.facts import PerturbationFacts
from pytest_qeval.perturb.prompt_diff import prompt_diff
from pytest_qeval.perturb.source import Function, docstring_of, parse_program
from pytest_qeval.schema import Case, Record, Sample
from pytest_qeval.summary.cases import Records, nominal_case

_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenExample:
    """A perturbed case that the baseline solves and the candidate does not, though both solve it nominally."""

    case: str
    """Its label."""
    reason: str
    """Why the candidate's completion did not pass."""
    prompt_diff: str
    """Unified diff of the nominal prompt to the perturbed one."""
    completion_diff: str
    """Unified diff of the candidate's nominal completion to the one that did not pass."""


def broken_examples(
    cases: Sequence[Case], records: Records, facts: Sequence[PerturbationFacts], *, recipe: str, baseline: str
) -> tuple[BrokenExample, ...]:
    """Choose the problems that broke under most perturbations, and one case of each.

    A case is broken if both recipes solve the problem nominally, and only the baseline solves it perturbed.
    """
    forms = {one.name: one.form for one in facts}

    def is_broken(case: Case) -> bool:
        pairs = [(name, which) for name in (baseline, recipe) for which in (nominal_case(case, forms), case)]
        found = [records.get(pair) for pair in pairs]
        return [one and one.outcome == "solved" for one in found] == [True, True, True, False]

    broken = [case for case in cases if case.perturbation in forms and is_broken(case)]
    worst = [task_id for task_id, _ in Counter(case.task_id for case in broken).most_common(_EXAMPLES)]
    first = (next(case for case in broken if case.task_id == task_id) for task_id in worst)
    return tuple(_example(records[recipe, case], records[recipe, nominal_case(case, forms)]) for case in first)


def _example(record: Record, nominal: Record) -> BrokenExample:
    before = next(one for one in nominal.samples if one.execution.status == "passed")
    after = record.samples[0]
    return BrokenExample(
        case=record.case.label,
        reason=record.reason,
        prompt_diff=record.prompt_diff,
        completion_diff=prompt_diff(_shown(before), _shown(after), record.case.label),
    )


def _shown(sample: Sample) -> str:
    """Return a completion; for a chat model its program without docstrings, which repeat the prompt."""
    if sample.extracted is None:
        return sample.completion.text
    # After the line that deletes what the prompt has begun; before it the prompt's function is only closed.
    program = sample.extracted.partition("\n\ndel ")[2].partition("\n")[2].strip("\n") or sample.extracted
    tree = parse_program(program)
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)] if tree else []
    docstrings = [found for node in functions if (found := docstring_of(node))]
    repeated = {number for one in docstrings for number in range(one.lineno, (one.end_lineno or one.lineno) + 1)}
    lines = enumerate(program.splitlines(), start=1)
    return "\n".join(line for number, line in lines if number not in repeated)
