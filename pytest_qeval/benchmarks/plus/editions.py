"""HumanEval+ and MBPP+ (Liu et al., 2023, arXiv:2305.01210), from the files that evalplus publishes.

The files hold inputs and a reference, and no expected values: a program passes when it agrees with the reference on the
inputs of the original benchmark (`base`) and on the added ones (`plus`). The hub's data sets of the same name hold
something else and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pytest_qeval.benchmarks.base import COMPLETION_STOPS, Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.chat import FUNCTION_TASK, SCRIPT_TASK
from pytest_qeval.benchmarks.mbpp import SCRIPT_STOPS
from pytest_qeval.benchmarks.plus.rows import parse_plus_problem
from pytest_qeval.benchmarks.problems import parse_problems
from pytest_qeval.benchmarks.rows import read_bytes, sha256_of
from pytest_qeval.errors import DataError

VERSIONS: Mapping[str, str] = {
    "42526ec0e7d5f3ee0b06d6ced98f8c8bae3d76519151bfb3d36f79010645bd7f": "0.1.10",
    "b54e762755248ca411b523c917fa9f93c07b5ff2966bf60b3917b853926a3dad": "0.2.0",
}
"""evalplus' version of an uncompressed file, by its checksum. Other files are read as well, since there are many
versions; the report then says `unknown` and has the checksum."""

MAX_TEST_BYTES = 15 * 2**20
"""Problems with larger tests are left out: a sandbox does not accept them."""
_TOO_LARGE = "its inputs are larger than what a sandbox takes"


def _find(data: Path | None, stem: str) -> Path | None:
    """Return the file in the user's data directory: the one without a version, else the newest."""
    pattern = re.compile(rf"{stem}(?:-v(\d+(?:\.\d+)*))?\.jsonl(?:\.gz)?")
    found = [(path, pattern.fullmatch(path.name)) for path in (data.iterdir() if data else ())]
    files = [(_rank(match[1]), path.name, path) for path, match in found if match and path.is_file()]
    return max(files)[2] if files else None


def _rank(version: str | None) -> tuple[float, ...]:
    return (float("inf"),) if version is None else tuple(map(float, version.split(".")))


def _load(
    data: Path | None,
    *,
    name: str,
    title: str,
    stem: str,
    stops: tuple[str, ...],
    task: str,
    covers: tuple[str, ...],
) -> Benchmark:
    """Read the file `stem`, without version and ending, from the user's data directory."""
    path = _find(data, stem)
    if path is None:
        raise DataError(
            f"{title}'s problems are not on this machine: point --qeval-data at a folder with "
            f"{stem}.jsonl.gz, which evalplus publishes ({stem.lower()}_release on GitHub)."
        )
    content = read_bytes(path)
    problems = parse_problems(content, benchmark=name, source=str(path), parse=parse_plus_problem)
    too_large = {task_id for task_id, problem in problems.items() if len(problem.test.encode()) > MAX_TEST_BYTES}
    digest = sha256_of(content)
    return Benchmark(
        name=name,
        version=VERSIONS.get(digest, "unknown"),
        sha256=digest,
        problems={task_id: problem for task_id, problem in problems.items() if task_id not in too_large},
        stops=stops,
        task=task,
        covers=covers,
        excluded=dict.fromkeys((task_id for task_id in problems if task_id in too_large), _TOO_LARGE),
        is_paced=True,
    )


def _source(
    name: str, summary: str, *, title: str, stem: str, stops: tuple[str, ...], task: str, covers: tuple[str, ...]
) -> BenchmarkSource:
    return BenchmarkSource(
        name=name,
        summary=f"{title}: {summary} with many more inputs (Liu et al., 2023); needs --qeval-data",
        load=partial(_load, name=name, title=title, stem=stem, stops=stops, task=task, covers=covers),
        is_here=lambda data: _find(data, stem) is not None,
    )


HUMANEVAL_PLUS = _source(
    "humaneval-plus",
    "HumanEval's 164 problems",
    title="HumanEval+",
    stem="HumanEvalPlus",
    stops=COMPLETION_STOPS,
    task=FUNCTION_TASK,
    covers=("humaneval",),
)
MBPP_PLUS = _source(
    "mbpp-plus",
    "378 verified problems of MBPP",
    title="MBPP+",
    stem="MbppPlus",
    stops=SCRIPT_STOPS,
    task=SCRIPT_TASK,
    covers=("mbpp", "mbpp-all", "mbpp-function", "mbpp-sanitized"),
)
