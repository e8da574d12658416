"""A benchmark's problems under several perturbations: which questions there are, and what could not be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_qeval.errors import DataError, QEvalError
from pytest_qeval.perturb.base import Perturbation, nominal_form, perturbed, seeds_of
from pytest_qeval.perturb.proof import prove
from pytest_qeval.schema import Case, Problem

__all__ = ["HALF", "Disturbances", "Disturbed", "disturb", "nominal_of"]

HALF = "half_given"
"""Stands for a perturbation where half of the solution is given and nothing is disturbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """What one perturbation made of a benchmark's problems."""

    perturbation: Perturbation
    seeds: int
    applied: int
    """Disturbed problems that are asked; as the following, one for every seed."""
    unchanged: int
    """Where there was nothing to disturb."""
    repeated: int
    """Where another seed had already made the same prompt."""
    invalid: int
    """Where the question would have been broken."""
    reasons: Mapping[str, str]
    """By label of an invalid case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbances:
    """All questions about disturbed problems, with the undisturbed ones that they are compared with."""

    questions: Mapping[Case, Problem]
    """In the order of the problems: first undisturbed, then disturbed."""
    of: Mapping[str, Disturbed]
    """By the perturbation's name."""


def nominal_of(case: Case, perturbation: Perturbation) -> Case:
    """Give the undisturbed case that a disturbed one is compared with."""
    return Case(
        benchmark=case.benchmark,
        task_id=case.task_id,
        perturbation=HALF if perturbation.form == "half" else None,
    )


def disturb(problems: Iterable[Problem], perturbations: Sequence[Perturbation], *, seeds: int | None) -> Disturbances:
    """Disturb problems, and keep what proves itself.

    Args:
        problems: Of one benchmark.
        perturbations: Which; those that make no choice are asked with the seed 0 only.
        seeds: How many seeds, at least 1; None is one, or all versions of a perturbation that others made.

    Raises:
        DataError: when a perturbation raises an exception, naming it and the problem.
    """
    questions: dict[Case, Problem] = {}
    tries: dict[str, list[_Try]] = {one.name: [] for one in perturbations}
    for problem in problems:
        undisturbed: dict[Case, Problem] = {}
        asked: dict[Case, Problem] = {}
        for one in perturbations:
            for this in _tries(problem, one, seeds):
                compared = _compared(this, one, undisturbed)
                tries[one.name].append(compared)
                if compared.status == "applied":
                    asked[compared.case] = compared.question
        questions |= undisturbed | asked
    return Disturbances(
        questions=questions,
        of={one.name: _counted(one, tries[one.name], len(seeds_of(one, seeds))) for one in perturbations},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """One perturbation of one problem with one seed."""

    case: Case
    nominal: Problem
    """What was disturbed."""
    question: Problem
    status: Literal["applied", "unchanged", "repeated", "invalid"]
    reason: str = ""


def _tries(problem: Problem, perturbation: Perturbation, seeds: int | None) -> Iterator[_Try]:
    """Disturb one problem, once for each seed."""
    nominal = nominal_form(problem, perturbation)
    seen: set[str] = set()
    for seed in seeds_of(perturbation, seeds):
        case = Case(benchmark=problem.benchmark, task_id=problem.task_id, perturbation=perturbation.name, seed=seed)
        if nominal is None:
            reason = "a solution of one line has no half"
            yield _Try(case=case, nominal=problem, question=problem, status="unchanged", reason=reason)
            continue
        question = _question(nominal, perturbation, case)
        proof = prove(nominal, question, category=perturbation.category)
        again = proof.status == "applied" and question.prompt in seen
        seen.add(question.prompt)
        status = "repeated" if again else proof.status
        yield _Try(case=case, nominal=nominal, question=question, status=status, reason=proof.reason)


def _question(nominal: Problem, perturbation: Perturbation, case: Case) -> Problem:
    """Disturb a problem, trusting nobody: a perturbation may be the user's own."""
    try:
        question = perturbed(nominal, perturbation, case.seed)
        if (question.benchmark, question.task_id) != (nominal.benchmark, nominal.task_id):
            raise ValueError(f"it gave the problem {question.task_id} back")  # noqa: TRY301 - told like any other fault
    except QEvalError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(
            f"the perturbation {perturbation.name!r} failed on {case.label} ({kind}: {error}): "
            "it must give every problem back, the very same where there is nothing to disturb."
        ) from error
    return question


def _compared(this: _Try, perturbation: Perturbation, undisturbed: dict[Case, Problem]) -> _Try:
    """Keep the undisturbed problem beside the others; a half-given problem is asked in one way only."""
    if this.status != "applied":
        return this
    kept = undisturbed.setdefault(nominal_of(this.case, perturbation), this.nominal)
    if kept.prompt == this.nominal.prompt:
        return this
    return replace(this, status="invalid", reason="another perturbation of this run disturbs another half of it")


def _counted(perturbation: Perturbation, tries: Sequence[_Try], seeds: int) -> Disturbed:
    counts = Counter(one.status for one in tries)
    return Disturbed(
        perturbation=perturbation,
        seeds=seeds,
        applied=counts["applied"],
        unchanged=counts["unchanged"],
        repeated=counts["repeated"],
        invalid=counts["invalid"],
        reasons={one.case.label: one.reason for one in tries if one.status == "invalid"},
    )
