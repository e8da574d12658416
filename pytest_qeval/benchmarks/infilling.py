"""HumanEval infilling (Bavarian et al., 2022, arXiv:2207.14255): a part of HumanEval's solutions is to be filled in.

A completion stands between a prompt and a suffix, which are joined with nothing between them. It is used up to the end
that the model gives it, as in the published evaluation, and never stripped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.base import COMPLETION_STOPS, Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.problems import find_flaw, parse_problems
from pytest_qeval.benchmarks.rows import find_file, read_bytes, text_fields, verify_sha256
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem

SHA256: Mapping[str, str] = {
    "SingleLineInfilling": "6fffc71ec2f1674372fcc177511f92312f1a27a9eacd8e43255c9f5ee9eca8c8",
    "MultiLineInfilling": "5b49f312f0a781420a4ae54f5e73176009b9cfc52731e3a0b9be726b451032d1",
    "RandomSpanInfillingLight": "cbb2b36f90311a3a7d844b6361852bb33e3ab11ab3bca2b7e85bfb9bf78c5891",
}
"""Of the published `HumanEval-….jsonl`, uncompressed."""

_FIELDS = ("task_id", "prompt", "suffix", "entry_point", "test", "canonical_solution")
_TASK_ID = re.compile(r"\w+/(?P<function>\w+/\d+)/\w+")
"""Such as `SingleLineInfilling/HumanEval/0/L0`; what follows the function is the place in its solution."""

LINE_STOPS = ("\n",)
"""The end of the only line, which comes after the line's last character and begins no completion."""


def _files(edition: str) -> tuple[str, str]:
    return f"HumanEval-{edition}.jsonl.gz", f"HumanEval-{edition}.jsonl"


def _load(data: Path | None, *, name: str, edition: str, stops: tuple[str, ...], covers: tuple[str, ...]) -> Benchmark:
    """Read one edition from the user's data directory, the only place where it is looked for."""
    remedy = f"point --qeval-data at a folder with {_files(edition)[0]} of openai/human-eval-infilling on GitHub"
    path = find_file([data], _files(edition))
    if path is None:
        raise DataError(f"the problems of {name} are not on this machine: {remedy}.")
    content = read_bytes(path)
    # Problems before the checksum: of a torn or edited file the line says more than the digest.
    problems = parse_problems(content, benchmark=name, source=str(path), parse=_parse_problem)
    digest = verify_sha256(content, SHA256[edition], source=str(path), title=f"HumanEval-{edition}", remedy=remedy)
    return Benchmark(name=name, version="1", sha256=digest, problems=problems, stops=stops, covers=covers)


def _parse_problem(row: Mapping[str, Any], benchmark: str, where: str) -> Problem:
    """Return the problem of a row, which belongs with all others of the same function."""
    fields = text_fields(row, _FIELDS, where)
    named = _TASK_ID.fullmatch(fields["task_id"])
    if named is None:
        raise DataError(f"{where}: expected a task id such as SingleLineInfilling/HumanEval/0/L0.")
    problem = Problem(benchmark=benchmark, cluster=named["function"], language="python", **fields)
    if flaw := find_flaw(problem):
        raise DataError(f"{where}: {flaw}.")
    return problem


def _source(
    name: str, summary: str, *, edition: str, stops: tuple[str, ...], covers: tuple[str, ...] = ()
) -> BenchmarkSource:
    return BenchmarkSource(
        name=name,
        summary=f"{name}: {summary} (Bavarian et al., 2022); needs --qeval-data",
        load=partial(_load, name=name, edition=edition, stops=stops, covers=covers),
        is_here=lambda data: find_file([data], _files(edition)) is not None,
    )


SINGLE_LINE = _source(
    "infilling-single-line",
    "1,033 lines to fill in, each missing from a solution of HumanEval",
    edition="SingleLineInfilling",
    stops=LINE_STOPS,
)
# No reference holds one of the stop strings of function bodies. They end the text of models that do not know where the
# suffix begins.
MULTI_LINE = _source(
    "infilling-multi-line",
    "5,815 runs of lines to fill in, each missing from a solution of HumanEval",
    edition="MultiLineInfilling",
    stops=COMPLETION_STOPS,
    covers=("infilling-single-line",),  # every single line is one of its runs
)
RANDOM_SPAN = _source(
    "infilling-random-span",
    "164 random spans of characters to fill in, one missing from each solution of HumanEval",
    edition="RandomSpanInfillingLight",
    stops=COMPLETION_STOPS,
)
