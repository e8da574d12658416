"""The user's own problems: a file of JSON lines in HumanEval's fields, or the same made in Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from pytest_qeval.benchmarks.base import Benchmark
from pytest_qeval.benchmarks.problems import parse_problems
from pytest_qeval.benchmarks.rows import read_bytes, sha256_of, to_jsonl
from pytest_qeval.benchmarks.text.base import TextBenchmark
from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.schema import Json, Problem

_ENDINGS = (".jsonl", ".jsonl.gz")
_NAME = re.compile(r"[\w-]+")


def is_problems_file(text: str) -> bool:
    """Return whether a marker's argument is a file of problems, not the name of a benchmark."""
    return text.endswith(_ENDINGS)


def read_problems(path: Path) -> Benchmark:
    """Read a benchmark, named like its file without the ending.

    Raises:
        DataError: naming file, line and task id of a problem that cannot be prompted or judged.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}: name it relative to the folder of the test that is marked with it.")
    return _benchmark(path.name.removesuffix(".gz").removesuffix(".jsonl"), read_bytes(path), str(path))


def make_benchmark(name: str, rows: Iterable[Mapping[str, str]]) -> Benchmark:
    """Make a benchmark of rows with `task_id`, `prompt`, `entry_point`, `test` and `canonical_solution`.

    Raises:
        DataError: naming row and task id of a problem that cannot be prompted or judged.
        TypeError: for rows that JSON cannot write.
    """
    return _benchmark(name, to_jsonl(dict(sorted(row.items())) for row in rows), f"the problems of {name}")


def _benchmark(name: str, content: bytes, source: str) -> Benchmark:
    check_benchmark_name(name, source)
    problems = parse_problems(content, benchmark=name, source=source)
    return Benchmark(name=name, version="1", sha256=sha256_of(content), problems=problems)


def check_benchmark_name(name: str, source: str) -> None:
    """Refuse a name that a gate cannot contain.

    Raises:
        UsageError: with `source`, where the name comes from.
    """
    if name == "all":
        raise UsageError(f"{source}: 'all' stands for all benchmarks of a run in gates: rename this one.")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{source}: {name!r} cannot be the name of a benchmark, which is made of letters, digits, _ and -, "
            "so that gates can name it: rename it."
        )


def benchmark_to_dict(benchmark: Benchmark) -> Json:
    """Return what another process needs to know of a benchmark that it cannot load itself."""
    return {
        "name": benchmark.name,
        "version": benchmark.version,
        "sha256": benchmark.sha256,
        "problems": [asdict(problem) for problem in benchmark.problems.values()],
        "excluded": dict(benchmark.excluded),
        "covers": list(benchmark.covers),
        "scored": isinstance(benchmark, TextBenchmark),
    }


def benchmark_from_dict(row: Json) -> Benchmark:
    """Read the result of `benchmark_to_dict`; it lacks how prompts are made."""
    problems = [Problem(**problem) for problem in row["problems"]]
    fields = {**row, "problems": {problem.task_id: problem for problem in problems}, "covers": tuple(row["covers"])}
    return TextBenchmark(**fields) if fields.pop("scored") else Benchmark(**fields)
