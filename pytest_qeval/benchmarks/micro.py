"""micro: small problems for the embedded model, which never saw their names, wordings and constants."""

from __future__ import annotations

from pathlib import Path

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.problems import parse_problems
from pytest_qeval.benchmarks.rows import read_bytes, sha256_of

PATH = Path(__file__).parent / "data" / "micro.jsonl"


def load(_data: Path | None) -> Benchmark:
    """Read the packaged problems; they belong to the embedded model, so the user's data directory is not searched."""
    content = read_bytes(PATH)
    problems = parse_problems(content, benchmark="micro", source=PATH.name)
    return Benchmark(name="micro", version="1", sha256=sha256_of(content), problems=problems)


MICRO = BenchmarkSource(
    name="micro",
    summary="micro: short Python functions in HumanEval's form, for the embedded model `demo` and quick checks",
    load=load,
)
