"""Perturb the problems of a benchmark, and count what could not be perturbed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_qeval.errors import DataError, QEvalError
from pytest_qeval.perturb.base import Perturbation, nominal_form, perturb_problem, seeds_of
from pytest_qeval.perturb.validity import Validity, check_perturbed
from pytest_qeval.schema import Case, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPerturbation:
    """Counts of one perturbation on the problems of a benchmark, over all seeds."""

    perturbation: Perturbation
    seeds: int
    applied: int
    """Perturbed problems of the run."""
    unchanged: int
    """Where there was nothing to perturb."""
    repeated: int
    """Where another seed made the same prompt."""
    invalid: int
    """Where the perturbed problem is broken."""
    reasons: Mapping[str, str]
    """Why cases are invalid, by label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerturbedProblems:
    """All perturbed problems, with the nominal ones that they are compared with."""

    problems: Mapping[Case, Problem]
    """In the order of the problems: first nominal, then perturbed."""
    of: Mapping[str, AppliedPerturbation]
    """By the name of the perturbation."""


def nominal_of(case: Case, perturbation: Perturbation) -> Case:
    """Return the nominal case that a perturbed one is compared with."""
    return Case(benchmark=case.benchmark, task_id=case.task_id, half=perturbation.form == "half")


def perturb_problems(
    problems: Iterable[Problem], perturbations: Sequence[Perturbation], *, seeds: int | None
) -> PerturbedProblems:
    """Perturb problems, and keep those that changed and are valid.

    Args:
        problems: Problems of one benchmark.
        perturbations: The perturbations.
        seeds: How many seeds, at least 1 or None; see `seeds_of`.

    Raises:
        DataError: when a perturbation raises an exception; it names the perturbation and the case.
    """
    found: dict[Case, Problem] = {}
    validities: dict[str, dict[Case, Validity]] = {one.name: {} for one in perturbations}
    for problem in problems:
        nominal: dict[Case, Problem] = {}
        perturbed: dict[Case, Problem] = {}
        for one in perturbations:
            for case, changed, validity in _perturb_seeds(problem, one, seeds, nominal):
                validities[one.name][case] = validity
                if validity.status == "applied":
                    perturbed[case] = changed
        found |= nominal | perturbed
    return PerturbedProblems(
        problems=found,
        of={one.name: _count(one, validities[one.name], len(seeds_of(one, seeds))) for one in perturbations},
    )


def _perturb_seeds(
    problem: Problem, perturbation: Perturbation, seeds: int | None, compared: dict[Case, Problem]
) -> Iterator[tuple[Case, Problem, Validity]]:
    """Perturb one problem, once for each seed; where that is applied, add the nominal problem to `compared`."""
    nominal = nominal_form(problem, perturbation)
    seen: set[str] = set()
    for seed in seeds_of(perturbation, seeds):
        case = Case(benchmark=problem.benchmark, task_id=problem.task_id, perturbation=perturbation.name, seed=seed)
        if nominal is None:
            yield case, problem, Validity(status="unchanged", reason="a solution of one line has no half")
            continue
        perturbed = _apply(nominal, perturbation, case)
        validity = check_perturbed(nominal, perturbed, category=perturbation.category)
        if validity.status == "applied":
            if perturbed.prompt in seen:
                validity = Validity(status="repeated")
            elif compared.setdefault(nominal_of(case, perturbation), nominal).prompt != nominal.prompt:
                reason = "another perturbation of this run perturbs another half of it"
                validity = Validity(status="invalid", reason=reason)
        seen.add(perturbed.prompt)
        yield case, perturbed, validity


def _apply(nominal: Problem, perturbation: Perturbation, case: Case) -> Problem:
    """Perturb a problem, and explain exceptions: the perturbation may be the user's own."""
    try:
        changed = perturb_problem(nominal, perturbation, case.seed)
        if (changed.benchmark, changed.task_id) != (nominal.benchmark, nominal.task_id):
            raise ValueError(f"it returned the problem {changed.task_id}")  # noqa: TRY301 - reported like any other
    except QEvalError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise DataError(
            f"the perturbation {perturbation.name!r} failed on {case.label} ({kind}: {error}): "
            "it must return every problem, the same one where there is nothing to perturb."
        ) from error
    return changed


def _count(perturbation: Perturbation, validities: Mapping[Case, Validity], seeds: int) -> AppliedPerturbation:
    counts = Counter(validity.status for validity in validities.values())
    return AppliedPerturbation(
        perturbation=perturbation,
        seeds=seeds,
        applied=counts["applied"],
        unchanged=counts["unchanged"],
        repeated=counts["repeated"],
        invalid=counts["invalid"],
        reasons={case.label: found.reason for case, found in validities.items() if found.status == "invalid"},
    )
