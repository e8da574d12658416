"""Results of a self-test of the harness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qeval.benchmarks.selftest import is_expected
from pytest_qeval.schema import Case
from pytest_qeval.summary.cases import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestResult:
    """One benchmark; planned cases without a record count only in `references` and `broken`."""

    references: int
    """Planned cases."""
    references_passed: int
    broken: int
    broken_failed: int
    wrong: tuple[str, ...]
    """Cases with an unexpected outcome, as label and recipe: `HumanEval/3 (spoof)`."""

    @property
    def holds(self) -> bool:
        """Whether every case has the expected outcome."""
        return (self.references_passed, self.broken_failed) == (self.references, self.broken)


def selftest_results(planned: Sequence[tuple[str, Case]], records: Records) -> dict[str, SelftestResult]:
    """Count outcomes by benchmark."""
    benchmarks = dict.fromkeys(case.benchmark for _, case in planned)
    return {name: _result([key for key in planned if key[1].benchmark == name], records) for name in benchmarks}


def _result(keys: Sequence[tuple[str, Case]], records: Records) -> SelftestResult:
    right = [key for key in keys if key in records and is_expected(records[key])]
    references = sum(recipe == "reference" for recipe, _ in keys)
    passed = sum(recipe == "reference" for recipe, _ in right)
    return SelftestResult(
        references=references,
        references_passed=passed,
        broken=len(keys) - references,
        broken_failed=len(right) - passed,
        wrong=tuple(f"{case.label} ({recipe})" for recipe, case in keys if (recipe, case) in records.keys() - {*right}),
    )
