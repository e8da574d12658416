"""codesearchnet: Python functions and their docstrings, as CodeXGLUE (Lu et al., 2021) filtered CodeSearchNet's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_qeval.benchmarks.base import BenchmarkSource
from pytest_qeval.benchmarks.rows import fetch_rows, find_file, iter_rows, read_bytes
from pytest_qeval.benchmarks.text.base import (
    TextBenchmark,
    can_score,
    check_can_score,
    sha256_of_problems,
    text_problem,
)
from pytest_qeval.benchmarks.text.docstrings import remove_docstring
from pytest_qeval.errors import DataError
from pytest_qeval.schema import Problem

FILES = tuple(
    f"{name}{ending}"
    for name in ("codesearchnet-python.jsonl", "code-to-text/python/test.jsonl", "python/test.jsonl")
    for ending in ("", ".gz")
)
"""Possible data files in the folder of `--qeval-data`; `code-to-text/…` is CodeXGLUE's own layout."""
_HUB_ID = "google/code_x_glue_ct_code_to_text"
_PREFIX = "CodeSearchNet"
_LEAKING = "its docstring could not be taken out of its code"
_LEAK_WORDS = range(3, 9)
"""How many first words of a docstring are searched in the code: fewer may be there by chance."""
_EMPTY = "its docstring is empty"


def load(data: Path | None) -> TextBenchmark:
    """Read the test split from the user's data directory, else from the hub.

    Raises:
        DataError: when neither has it, or a row lacks code or docstring.
        MissingPackageError: when completions cannot be scored.
    """
    check_can_score("codesearchnet")
    path = find_file([data], FILES)
    if path:
        return _benchmark(dict(iter_rows(read_bytes(path), source=str(path))), source=str(path))
    remedy = f"point --qeval-data at a folder with {FILES[0]}, CodeXGLUE's test.jsonl"
    rows = fetch_rows(_HUB_ID, "python", split="test", title="CodeSearchNet", remedy=remedy)
    return _benchmark(dict(enumerate(rows, start=1)), source=f"hub:{_HUB_ID}")


def _benchmark(rows: Mapping[int, Mapping[str, Any]], *, source: str) -> TextBenchmark:
    """Return the benchmark of rows by their line; task ids count rows from 0, as the original evaluation does."""
    problems: dict[str, Problem] = {}
    sources: dict[str, str] = {}
    excluded: dict[str, str] = {}
    for number, (line, row) in enumerate(rows.items()):
        task_id = f"{_PREFIX}/{number}"
        code, tokens, reference = _fields(row, f"{source}, line {line}")
        shown = _without_docstring(code, row)
        if shown is None or not reference:
            excluded[task_id] = _EMPTY if shown else _LEAKING
            continue
        name = str(row.get("func_name", "")).rpartition(".")[2]
        problems[task_id] = text_problem(
            benchmark="codesearchnet",
            task_id=task_id,
            name=name,
            code=shown,
            reference=reference,
            cluster=str(row.get("repo") or ""),
        )
        if tokens and not _leaks(tokens, row):
            sources[task_id] = tokens
    if not problems:
        raise DataError(f"{source} holds no functions with docstrings.")
    return TextBenchmark(
        name="codesearchnet",
        version="1",
        sha256=sha256_of_problems(problems.values(), sources),
        problems=problems,
        sources=sources,
        excluded=excluded,
    )


def _fields(row: Mapping[str, Any], where: str) -> tuple[str, str, str]:
    """Return code, its tokens joined by blanks, and the reference.

    The reference is the joined tokens of the docstring's first paragraph, the `r` of a raw string left out, as in
    bigcode-evaluation-harness; without them the docstring's own first paragraph.
    """
    code_tokens, words = (_joined(row.get(name), where, name) for name in ("code_tokens", "docstring_tokens"))
    code, docstring = (_text(row.get(name), where, name) for name in ("code", "docstring"))
    if not (code or code_tokens):
        raise DataError(f"{where}: expected code or code_tokens, as in CodeXGLUE's code-to-text files.")
    if row.get("docstring_tokens") is None and row.get("docstring") is None:
        raise DataError(f"{where}: expected docstring or docstring_tokens, as in CodeXGLUE's code-to-text files.")
    return code or code_tokens, code_tokens, words.removeprefix("r ") or _paragraph(docstring)


def _paragraph(docstring: str) -> str:
    return " ".join(docstring.strip().partition("\n\n")[0].split())


def _text(value: object, where: str, name: str) -> str:
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}: expected text in the field {name}.")
    return (value or "").replace("\r\n", "\n")


def _joined(value: object, where: str, name: str) -> str:
    if value is not None and not (isinstance(value, list) and all(isinstance(token, str) for token in value)):
        raise DataError(f"{where}: expected a list of texts in the field {name}.")
    return " ".join(" ".join(value or ()).split())


def _without_docstring(code: str, row: Mapping[str, Any]) -> str | None:
    """Return the code without its docstring; None where it is still there."""
    try:
        shown = remove_docstring(code)
    except ValueError:
        shown = code
    return None if _leaks(shown, row) else shown


def _leaks(code: str, row: Mapping[str, Any]) -> bool:
    """Return whether code still contains the first words of the docstring, whatever the line breaks."""
    words = _paragraph(row.get("docstring") or "").split()[: _LEAK_WORDS[-1]]
    return len(words) in _LEAK_WORDS and " ".join(words) in " ".join(code.split())


CODESEARCHNET = BenchmarkSource(
    name="codesearchnet",
    summary="codesearchnet: CodeXGLUE's Python test functions, to be described in a sentence; BLEU and chrF",
    load=load,
    is_here=lambda data: can_score() and find_file([data], FILES) is not None,
)
