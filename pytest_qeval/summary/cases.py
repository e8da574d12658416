"""Planned cases and their records: how they are grouped, and which of them are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_qeval.schema import Case, Record

Records = Mapping[tuple[str, Case], Record]
"""By recipe and case."""
Groups = Mapping[tuple[str, str], Sequence[Case]]
"""Planned cases by benchmark and recipe, in the plan's order."""


def group_cases(planned: Iterable[tuple[str, Case]]) -> dict[tuple[str, str], list[Case]]:
    """Group planned cases by benchmark and recipe."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for recipe, case in planned:
        groups.setdefault((case.benchmark, recipe), []).append(case)
    return groups


def nominal_case(case: Case, forms: Mapping[str, str]) -> Case:
    """Return the nominal case that a perturbed one is compared with; `forms` are `full` or `half`, by perturbation."""
    return Case(benchmark=case.benchmark, task_id=case.task_id, half=forms[str(case.perturbation)] == "half")


def pairs_of_groups(groups: Groups, baseline: str | None) -> Iterator[tuple[str, str, str, Sequence[Case]]]:
    """Yield benchmark, recipe, baseline and cases of every group that has a counterpart of the baseline."""
    for (benchmark, recipe), cases in groups.items():
        if baseline is not None and recipe != baseline and (benchmark, baseline) in groups:
            yield benchmark, recipe, baseline, cases


def pair_records(
    cases: Iterable[Case], records: Records, *, baseline: str, recipe: str
) -> Iterator[tuple[Record, Record]]:
    """Yield the baseline's and the recipe's record of every case that both finished."""
    for case in cases:
        base, own = records.get((baseline, case)), records.get((recipe, case))
        if base and own:
            yield base, own
