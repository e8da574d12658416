"""HumanEval+ and MBPP+ (Liu et al., 2023, arXiv:2305.01210), from the files that evalplus publishes.

The files hold inputs and a reference, and no expected values: a program passes when it agrees with the reference on the
inputs of the original benchmark (`base`) and on those that were added (`plus`). The hub's data sets of the same name
hold something else, and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_qeval.benchmarks.base import COMPLETION_STOPS, Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.chat import FUNCTION_TASK, SCRIPT_TASK
from pytest_qeval.benchmarks.jsonl import read_bytes, sha256_of
from pytest_qeval.benchmarks.mbpp import SCRIPT_STOPS
from pytest_qeval.benchmarks.plus.rows import read_rows
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem

__all__ = ["HUMANEVAL_PLUS", "MBPP_PLUS", "VERSIONS"]

VERSIONS: Mapping[str, str] = {
    "42526ec0e7d5f3ee0b06d6ced98f8c8bae3d76519151bfb3d36f79010645bd7f": "0.1.10",
    "b54e762755248ca411b523c917fa9f93c07b5ff2966bf60b3917b853926a3dad": "0.2.0",
}
"""From the checksum of an uncompressed file to evalplus' version of it. Others are read as well, for there are many
versions; the report then says `unknown`, and has the checksum."""

_LARGEST_BYTES = 15 * 2**20
_TOO_LARGE = "its inputs are larger than what a sandbox takes"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edition:
    """One of the two."""

    name: str
    title: str
    file: str
    """Without version and ending."""
    stops: tuple[str, ...]
    task: str

    def find(self, data: Path | None) -> Path | None:
        """Look for the file in the user's data directory: that without a version, else the newest."""
        pattern = re.compile(rf"{self.file}(?:-v(\d+(?:\.\d+)*))?\.jsonl(?:\.gz)?")
        found = [(path, pattern.fullmatch(path.name)) for path in (data.iterdir() if data else ())]
        files = [(_rank(match[1]), path.name, path) for path, match in found if match and path.is_file()]
        return max(files)[2] if files else None

    def is_here(self, data: Path | None) -> bool:
        """Return whether the file is on this machine."""
        return self.find(data) is not None


def _rank(version: str | None) -> tuple[float, ...]:
    return (float("inf"),) if version is None else tuple(map(float, version.split(".")))


def load(data: Path | None, *, edition: _Edition) -> Benchmark:
    """Read the file from the user's data directory.

    Raises:
        DataError: when it is not there, or a row of it cannot be asked or judged.
    """
    path = edition.find(data)
    if path is None:
        raise DataError(
            f"{edition.title}'s problems are not on this machine: point --qeval-data at a folder with "
            f"{edition.file}.jsonl.gz, which evalplus publishes ({edition.file.lower()}_release on GitHub)."
        )
    content = read_bytes(path)
    problems: dict[str, Problem] = {}
    excluded: dict[str, str] = {}
    for row in read_rows(content, source=str(path)):
        problem = row.problem(edition.name)
        if len(problem.test.encode()) > _LARGEST_BYTES:
            excluded[row.task_id] = _TOO_LARGE
        else:
            problems[row.task_id] = problem
    digest = sha256_of(content)
    return Benchmark(
        name=edition.name,
        version=VERSIONS.get(digest, "unknown"),
        sha256=digest,
        problems=problems,
        stops=edition.stops,
        task=edition.task,
        excluded=excluded,
        is_paced=True,
    )


_HUMANEVAL = _Edition(
    name="humaneval-plus", title="HumanEval+", file="HumanEvalPlus", stops=COMPLETION_STOPS, task=FUNCTION_TASK
)
_MBPP = _Edition(name="mbpp-plus", title="MBPP+", file="MbppPlus", stops=SCRIPT_STOPS, task=SCRIPT_TASK)

HUMANEVAL_PLUS = BenchmarkSource(
    name="humaneval-plus",
    summary="HumanEval+: HumanEval's 164 problems with many more inputs (Liu et al., 2023); needs --qeval-data",
    load=partial(load, edition=_HUMANEVAL),
    is_here=_HUMANEVAL.is_here,
)
MBPP_PLUS = BenchmarkSource(
    name="mbpp-plus",
    summary="MBPP+: 378 verified problems of MBPP with many more inputs (Liu et al., 2023); needs --qeval-data",
    load=partial(load, edition=_MBPP),
    is_here=_MBPP.is_here,
)
