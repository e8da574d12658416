"""A benchmark's problems under several perturbations: which questions there are, and what could not be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_qeval.errors import DataError, QEvalError
from pytest_qeval.perturb.base import Perturbation, perturbed
from pytest_qeval.perturb.halves import half_given
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


def disturb(problems: Iterable[Problem], perturbations: Sequence[Perturbation], *, seeds: int) -> Disturbances:
    """Disturb problems, and keep what proves itself.

    Args:
        problems: Of one benchmark.
        perturbations: Which; those that make no choice are asked with the seed 0 only.
        seeds: How many seeds, at least 1.

    Raises:
        DataError: when a perturbation raises an exception, naming it and the problem.
    """
    questions: dict[Case, Problem] = {}
    tries: dict[str, list[_Try]] = {one.name: [] for one in perturbations}
    for problem in problems:
        halved = half_given(problem)
        found = {
            one.name: list(_tries(problem, problem if one.form == "full" else halved, one, seeds))
            for one in perturbations
        }
        applied = [(one, this) for one in perturbations for this in found[one.name] if this.status == "applied"]
        for one, this in applied:
            questions.setdefault(nominal_of(this.case, one), problem if one.form == "full" else halved or problem)
        questions.update({this.case: this.question for _, this in applied})
        for name, these in found.items():
            tries[name] += these
    return Disturbances(
        questions=questions,
        of={one.name: _counted(one, tries[one.name], seeds if one.random else 1) for one in perturbations},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """One perturbation of one problem with one seed."""

    case: Case
    question: Problem
    status: Literal["applied", "unchanged", "repeated", "invalid"]
    reason: str = ""


def _tries(problem: Problem, nominal: Problem | None, perturbation: Perturbation, seeds: int) -> Iterator[_Try]:
    """Disturb one problem, once for each seed."""
    seen: set[str] = set()
    for seed in range(seeds if perturbation.random else 1):
        case = Case(benchmark=problem.benchmark, task_id=problem.task_id, perturbation=perturbation.name, seed=seed)
        if nominal is None:
            yield _Try(case=case, question=problem, status="unchanged", reason="a solution of one line has no half")
            continue
        try:
            question = perturbed(nominal, perturbation, seed)
        except QEvalError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise DataError(
                f"the perturbation {perturbation.name!r} failed on {case.label} ({kind}: {error}): "
                "it must give every problem back, the very same where there is nothing to disturb."
            ) from error
        proof = prove(nominal, question, category=perturbation.category)
        again = proof.status == "applied" and question.prompt in seen
        seen.add(question.prompt)
        yield _Try(case=case, question=question, status="repeated" if again else proof.status, reason=proof.reason)


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
