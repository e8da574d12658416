"""Half a solution given away: the question that syntax and format perturbations perturb."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from pytest_qeval.perturb.source import Source
from pytest_qeval.schema import Problem

__all__ = ["half_given"]


@lru_cache(maxsize=64)  # every perturbation of code asks about the same problem
def half_given(problem: Problem) -> Problem | None:
    """Move the first half of the canonical solution's lines, rounded down, into the prompt.

    Blank lines count, as they do in ReCode (Wang et al., 2022, arXiv:2212.10264); what a solution holds behind the
    function does not. The prompt ends with a complete line, whose block or bracket may be open.

    Returns:
        The problem with more given, or None where the half holds no code: a body of one line, or one that begins
        with blank lines.
    """
    lines = _body(problem).splitlines(keepends=True)
    given = "".join(lines[: len(lines) // 2])
    if not given.strip():
        return None
    return replace(
        problem,
        prompt=problem.prompt + given,
        canonical_solution=problem.canonical_solution.removeprefix(given),
    )


def _body(problem: Problem) -> str:
    """Return the solution as far as the function reaches; all of it where nothing follows but blank lines."""
    source = Source.of(problem)
    if source is None:
        return problem.canonical_solution
    end = source.next_line(source.end(source.function)) - source.cut
    is_last = not problem.canonical_solution[end:].strip()
    return problem.canonical_solution if is_last else problem.canonical_solution[:end]
