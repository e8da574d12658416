import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.errors import UsageError
from pytest_qeval.report.files import check_folder, claim_folder, write_report, write_samples, write_whole
from pytest_qeval.schema import Case, Record
from pytest_qeval.summary.summarize import summarize
from tests.full_disk import full_disk
from tests.unit.summary.builders import INT8, record, session


def _records(recipe: str, *benchmarks: str) -> dict[tuple[str, Case], Record]:
    cases = [Case(benchmark=name, task_id="MBPP/11") for name in benchmarks]
    return {(recipe, case): replace(record(recipe, 0, "++"), case=case) for case in cases}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (_records("int8", "mbpp"), {"samples.jsonl"}),
        (_records("int8", "mbpp", "mbpp-function"), {"samples-mbpp.jsonl", "samples-mbpp-function.jsonl"}),
        (
            _records("auto", "mbpp", "mbpp-function") | _records("int8", "mbpp"),
            {"samples-auto-mbpp.jsonl", "samples-auto-mbpp-function.jsonl", "samples-int8-mbpp.jsonl"},
        ),
    ],
    ids=["one benchmark", "two", "two of one recipe"],
)
def test_editions_of_a_benchmark_share_no_file(
    tmp_path: Path, records: dict[tuple[str, Case], Record], expected: set[str]
) -> None:
    """In one file the completions of one task id would be replayed as samples of one problem."""
    write_samples(tmp_path, list(records), records)

    written = {path.name: path.read_text(encoding="utf-8").splitlines() for path in tmp_path.iterdir()}
    assert written.keys() == expected
    assert all([json.loads(line)["task_id"] for line in lines] == ["MBPP/11"] * 2 for lines in written.values())


def test_perturbed_problems_have_files_of_their_own(tmp_path: Path) -> None:
    """Their labels are the task ids."""
    case = Case(benchmark="micro", task_id="micro/0", perturbation="typos", seed=1)
    records = {("int8", one.case): one for one in (record("int8", 0, "+"), replace(record("int8", 0, "-"), case=case))}
    write_samples(tmp_path, list(records), records)

    task_ids = {path.name: json.loads(path.read_text(encoding="utf-8"))["task_id"] for path in tmp_path.iterdir()}
    assert task_ids == {"samples.jsonl": "micro/0", "perturbed-samples.jsonl": "micro/0-typos-s1"}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Before anything is run, and without leaving anything behind."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    check_folder(tmp_path / "new" / "folder")
    with pytest.raises(UsageError, match=r"reports cannot be written to .*Name a folder that can be made"):
        check_folder(tmp_path / "file" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """On a full disk not even an earlier run's file is left, which would contradict this run."""
    path = tmp_path / "report.json"
    write_whole(path, "earlier")
    with full_disk(10), pytest.raises(UsageError, match=r"report\.json cannot be written: "):
        write_whole(path, "x" * 100)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_no_longer_be_made_is_refused(tmp_path: Path) -> None:
    """As when a file has taken its place since the run began."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="reports cannot be written to "):
        claim_folder(tmp_path / "file" / "run")


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    """The second one takes the next name."""
    folder = tmp_path / ".qeval" / "20260131-101500-int8"
    assert [claim_folder(folder).name for _ in range(3)] == [f"{folder.name}{end}" for end in ("", "-2", "-3")]


def test_the_table_of_layers_is_written_where_there_are_any(tmp_path: Path) -> None:
    found = session("+", "+")
    write_report(tmp_path, summarize(found), ())
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]

    layer = {"name": "a", "shape": [2, 3], "bits": 8, "granularity": "per_channel", "kept": False}
    layer |= {"execution": "native", "bytes_before": 12, "bytes_after": 6}
    recipes = {"int8": replace(INT8, layers=(layer,))}
    write_report(tmp_path, summarize(replace(found, recipes=recipes)), ())
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "layers.csv"}
