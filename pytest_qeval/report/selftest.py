"""What a self-test found, from its plan and records alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_qeval.results import SelftestResult
from pytest_qeval.schema import Case, Record
from pytest_qeval.selftest import is_expected

__all__ = ["selftest_lines", "selftest_results"]

_SHOWN = 12


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


def selftest_lines(results: Mapping[str, SelftestResult]) -> Iterator[tuple[str, bool]]:
    """Yield lines, each with whether all is as it has to be."""
    for benchmark, result in results.items():
        references = f"{result.references_passed} of {result.references} references pass"
        broken = f"{result.broken_failed} of {result.broken} broken bodies fail"
        yield f"self-test: {benchmark}: {references}, {broken}", result.holds
        if result.wrong:
            more = f" … and {len(result.wrong) - _SHOWN} more" if len(result.wrong) > _SHOWN else ""
            yield f"  not as expected: {', '.join(result.wrong[:_SHOWN])}{more}", False
