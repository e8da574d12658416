"""The lines of a self-test in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_qeval.summary.results import SelftestResult

__all__ = ["selftest_lines"]

_SHOWN = 12


def selftest_lines(results: Mapping[str, SelftestResult]) -> Iterator[tuple[str, bool]]:
    """Yield lines, each with whether all is as it has to be."""
    for benchmark, result in results.items():
        references = f"{result.references_passed} of {result.references} references pass"
        broken = f"{result.broken_failed} of {result.broken} broken bodies fail"
        yield f"self-test: {benchmark}: {references}, {broken}", result.holds
        if result.wrong:
            more = f" … and {len(result.wrong) - _SHOWN} more" if len(result.wrong) > _SHOWN else ""
            yield f"  not as expected: {', '.join(result.wrong[:_SHOWN])}{more}", False
