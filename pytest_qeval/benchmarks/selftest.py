"""The self-test of the harness: reference solutions that must pass, and broken bodies that must not."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.schema import Problem, Record

NAME = "self-test"
"""Stands for the model's name and source in reports."""
BENCHMARKS = (
    *("cruxeval-input", "cruxeval-output", "humaneval", "humaneval-js", "humaneval-plus"),
    *("infilling-random-span", "infilling-single-line"),
    *("mbpp", "mbpp-function", "mbpp-plus", "mbpp-sanitized", "micro"),
)
"""Used as far as their data are on this machine, unless suites are named. The 5,815 problems of `infilling-multi-line`
have to be named: they are made of the same functions and tests."""
RECIPES: Mapping[str, str] = {
    "reference": "the benchmark's own solutions",
    "empty": "bodies that return nothing",
    "constant": "bodies that always return the same wrong value",
    "spoof": "bodies that try to forge their result",
}
"""Name and summary; all but the first must fail, and are the keys of `Benchmark.broken`."""

_PERFECT = 1 - 1e-9

_WORDS = {"empty": "an empty", "constant": "a constant", "spoof": "a spoofing"}


def make_completion(recipe: str, problem: Problem, benchmark: Benchmark) -> str:
    """Return the completion of a benchmark's problem by one of `RECIPES`."""
    return problem.canonical_solution if recipe == "reference" else benchmark.broken(problem)[recipe]


def is_expected(record: Record) -> bool:
    """Return whether a case ended as it must."""
    is_scored = record.outcome == "scored"
    succeeded = min(record.measurements.values()) >= _PERFECT if is_scored else record.outcome == "solved"
    return succeeded == (record.recipe == "reference")


def describe_fault(record: Record) -> str:
    """Return what is wrong with the outcome of a case, or an empty string."""
    if is_expected(record):
        return ""
    if record.outcome == "scored":
        scores = ", ".join(f"{name} {score:.3f}" for name, score in record.measurements.items())
        return f"the completion of {record.case.label} by {record.recipe} scored {scores}"
    if record.recipe == "reference":
        return f"the reference solution of {record.case.label} does not pass: {record.reason}"
    return f"{_WORDS[record.recipe]} body of {record.case.label} passed"
