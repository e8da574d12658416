"""summarization: functions of Python's standard library, and the first lines of their docstrings."""

from __future__ import annotations

from pathlib import Path

from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.rows import iter_rows, read_bytes, sha256_of
from pytest_qeval.benchmarks.text.base import TextBenchmark, can_score, check_can_score, text_problem
from pytest_qeval.errors import DataError

PATH = Path(__file__).parent / "data" / "summarization.jsonl"
SHA256 = "940282f6085877507229d7ca0c451dbb0327a18c306abccb0bb4ccd239e09895"
"""Of the file as `summarization_pairs` made it under Python 3.11.7; Python's licence lies beside it."""


def load(_data: Path | None) -> TextBenchmark:
    """Read the packaged pairs; the user's data directory is not searched.

    Raises:
        DataError: when the file was changed after packaging.
        MissingPackageError: when completions cannot be scored.
    """
    check_can_score("summarization")
    content = read_bytes(PATH)
    digest = sha256_of(content)
    if digest != SHA256:
        raise DataError(f"{PATH} is not as it was packaged: sha256 {digest[:12]}…. Install pytest-qeval again.")
    problems = [
        text_problem(
            benchmark="summarization",
            task_id=row["task_id"],
            name=row["name"].rpartition(".")[2],
            code=row["code"],
            reference=row["reference"],
            cluster=row["module"],
        )
        for _, row in iter_rows(content, source=PATH.name)
    ]
    return TextBenchmark(
        name="summarization",
        version="1",
        sha256=digest,
        problems={problem.task_id: problem for problem in problems},
    )


SUMMARIZATION = BenchmarkSource(
    name="summarization",
    summary="summarization: 150 functions of Python's standard library, to be described in a sentence; BLEU and chrF",
    load=load,
    is_here=lambda _data: can_score(),
)
