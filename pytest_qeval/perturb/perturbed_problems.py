"""A benchmark's problems under several perturbations: which questions there are, and what could not be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_qeval.errors import DataError, QEvalError
from pytest_qeval.perturb.base import Perturbation, nominal_form, perturb_problem, seeds_of
from pytest_qeval.perturb.proof import prove
from pytest_qeval.schema import Case, Problem

__all__ = ["HALF", "AppliedPerturbation", "PerturbedProblems", "nominal_of", "perturb_problems"]

HALF = "half_given"
"""Stands for a perturbation where half of the solution is given and nothing is perturbed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPerturbation:
    """What one perturbation made of a benchmark's problems."""

    perturbation: Perturbation
    seeds: int
    applied: int
    """AppliedPerturbation problems that are asked; as the following, one for every seed."""
    unchanged: int
    """Where there was nothing to perturb."""
    repeated: int
    """Where another seed had already made the same prompt."""
    invalid: int
    """Where the problem would have been broken."""
    reasons: Mapping[str, str]
    """By label of an invalid case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbedProblems:
    """All perturbed problems, with the nominal ones that they are compared with."""

    problems: Mapping[Case, Problem]
    """In the order of the problems: first nominal, then perturbed."""
    of: Mapping[str, AppliedPerturbation]
    """By the perturbation's name."""


def nominal_of(case: Case, perturbation: Perturbation) -> Case:
    """Return the nominal case that a perturbed one is compared with."""
    return Case(
        benchmark=case.benchmark,
        task_id=case.task_id,
        perturbation=HALF if perturbation.form == "half" else None,
    )


def perturb_problems(
    problems: Iterable[Problem], perturbations: Sequence[Perturbation], *, seeds: int | None
) -> PerturbedProblems:
    """Perturb problems, and keep what proves itself.

    Args:
        problems: Of one benchmark.
        perturbations: Which; those that make no choice are asked with the seed 0 only.
        seeds: How many seeds, at least 1; None is one, or all versions of a perturbation that others made.

    Raises:
        DataError: when a perturbation raises an exception, naming it and the problem.
    """
    found: dict[Case, Problem] = {}
    tries: dict[str, list[_Try]] = {one.name: [] for one in perturbations}
    for problem in problems:
        nominal: dict[Case, Problem] = {}
        asked: dict[Case, Problem] = {}
        for one in perturbations:
            for this in _tries(problem, one, seeds):
                compared = _compared(this, one, nominal)
                tries[one.name].append(compared)
                if compared.status == "applied":
                    asked[compared.case] = compared.perturbed
        found |= nominal | asked
    return PerturbedProblems(
        problems=found,
        of={one.name: _counted(one, tries[one.name], len(seeds_of(one, seeds))) for one in perturbations},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """One perturbation of one problem with one seed."""

    case: Case
    nominal: Problem
    """What was perturbed."""
    perturbed: Problem
    status: Literal["applied", "unchanged", "repeated", "invalid"]
    reason: str = ""


def _tries(problem: Problem, perturbation: Perturbation, seeds: int | None) -> Iterator[_Try]:
    """Perturb one problem, once for each seed."""
    nominal = nominal_form(problem, perturbation)
    seen: set[str] = set()
    for seed in seeds_of(perturbation, seeds):
        case = Case(benchmark=problem.benchmark, task_id=problem.task_id, perturbation=perturbation.name, seed=seed)
        if nominal is None:
            reason = "a solution of one line has no half"
            yield _Try(case=case, nominal=problem, perturbed=problem, status="unchanged", reason=reason)
            continue
        changed = _apply(nominal, perturbation, case)
        proof = prove(nominal, changed, category=perturbation.category)
        again = proof.status == "applied" and changed.prompt in seen
        seen.add(changed.prompt)
        status = "repeated" if again else proof.status
        yield _Try(case=case, nominal=nominal, perturbed=changed, status=status, reason=proof.reason)


def _apply(nominal: Problem, perturbation: Perturbation, case: Case) -> Problem:
    """Perturb a problem, trusting nobody: a perturbation may be the user's own."""
    try:
        changed = perturb_problem(nominal, perturbation, case.seed)
        if (changed.benchmark, changed.task_id) != (nominal.benchmark, nominal.task_id):
            raise ValueError(f"it gave the problem {changed.task_id} back")  # noqa: TRY301 - told like any other fault
    except QEvalError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(
            f"the perturbation {perturbation.name!r} failed on {case.label} ({kind}: {error}): "
            "it must give every problem back, the very same where there is nothing to perturb."
        ) from error
    return changed


def _compared(this: _Try, perturbation: Perturbation, nominal: dict[Case, Problem]) -> _Try:
    """Keep the nominal problem beside the others; a half-given problem is asked in one way only."""
    if this.status != "applied":
        return this
    kept = nominal.setdefault(nominal_of(this.case, perturbation), this.nominal)
    if kept.prompt == this.nominal.prompt:
        return this
    return replace(this, status="invalid", reason="another perturbation of this run perturbs another half of it")


def _counted(perturbation: Perturbation, tries: Sequence[_Try], seeds: int) -> AppliedPerturbation:
    counts = Counter(one.status for one in tries)
    return AppliedPerturbation(
        perturbation=perturbation,
        seeds=seeds,
        applied=counts["applied"],
        unchanged=counts["unchanged"],
        repeated=counts["repeated"],
        invalid=counts["invalid"],
        reasons={one.case.label: one.reason for one in tries if one.status == "invalid"},
    )
