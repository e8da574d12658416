"""What a self-test found, from its plan and records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_qeval.benchmarks.selftest import is_expected
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.results import SelftestResult

__all__ = ["selftest_results"]


def selftest_results(
    planned: Sequence[tuple[str, Case]], found: Mapping[tuple[str, Case], Record]
) -> dict[str, SelftestResult]:
    """Count by benchmark; a planned case without a record is neither right nor wrong."""
    groups: dict[str, list[tuple[str, Case]]] = {}
    for recipe, case in planned:
        groups.setdefault(case.benchmark, []).append((recipe, case))
    return {benchmark: _result(keys, found) for benchmark, keys in groups.items()}


def _result(keys: Sequence[tuple[str, Case]], found: Mapping[tuple[str, Case], Record]) -> SelftestResult:
    right = [key for key in keys if key in found and is_expected(found[key])]
    references = sum(recipe == "reference" for recipe, _ in keys)
    passed = sum(recipe == "reference" for recipe, _ in right)
    return SelftestResult(
        references=references,
        references_passed=passed,
        broken=len(keys) - references,
        broken_failed=len(right) - passed,
        wrong=tuple(f"{case.label} ({recipe})" for recipe, case in keys if (recipe, case) in found.keys() - {*right}),
    )
