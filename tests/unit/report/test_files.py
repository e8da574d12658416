import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.report.files import write_samples
from pytest_qeval.schema import Case, Record
from tests.unit.summary.builders import record


def _asked(recipe: str, *benchmarks: str) -> dict[tuple[str, Case], Record]:
    cases = [Case(benchmark=name, task_id="MBPP/11") for name in benchmarks]
    return {(recipe, case): replace(record(recipe, 0, "++"), case=case) for case in cases}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (_asked("int8", "mbpp"), {"samples.jsonl"}),
        (_asked("int8", "mbpp", "mbpp-function"), {"samples-mbpp.jsonl", "samples-mbpp-function.jsonl"}),
        (
            _asked("auto", "mbpp", "mbpp-function") | _asked("int8", "mbpp"),
            {"samples-auto-mbpp.jsonl", "samples-auto-mbpp-function.jsonl", "samples-int8-mbpp.jsonl"},
        ),
    ],
    ids=["one benchmark", "two", "two of one recipe"],
)
def test_editions_of_a_benchmark_share_no_file(
    tmp_path: Path, records: dict[tuple[str, Case], Record], expected: set[str]
) -> None:
    """In one file the answers to the same task id would be replayed as samples of one problem."""
    write_samples(tmp_path, list(records), records)

    written = {path.name: path.read_text(encoding="utf-8").splitlines() for path in tmp_path.iterdir()}
    assert written.keys() == expected
    assert all([json.loads(line)["task_id"] for line in lines] == ["MBPP/11"] * 2 for lines in written.values())
