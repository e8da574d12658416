"""The tables of cases: their columns, and hostile text in them."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.report.reporter import RunResults
from pytest_qeval.report.tables import COLUMNS, TABLES, case_rows, write_csv
from pytest_qeval.schema import Json, Record
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import record, scored_session, session

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "results_in_pandas.py"
HOSTILE = [
    "=cmd()",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =1",
    "\n=1",
    "\uff1d1",
    "a\0b",
    '"; DROP',
    "</script>",
    "\x1b[31m",
]


def results(found: SummaryInput) -> RunResults:
    records = {(one.recipe, one.case): one for one in found.records}
    return RunResults(summary=summarize(found), gates=(), planned=found.planned, records=records)


def with_text(text: str) -> Record:
    one = record("int8", 0, "+")
    sample = one.samples[0]
    return replace(one, samples=(replace(sample, completion=replace(sample.completion, text=text)),))


def row_of(text: str) -> Json:
    (row,) = case_rows(
        results(
            replace(
                session("", "", planned=1), planned=[("int8", record("int8", 0, "+").case)], records=[with_text(text)]
            )
        )
    )
    return row


def test_a_row_is_a_case_and_a_recipe() -> None:
    """Lost cases are rows, too; the baseline is compared with nothing."""
    rows = list(case_rows(results(session("++-?+", "+-+- "))))
    own = [row for row in rows if row["recipe"] == "int8"]

    assert len(rows) == 10
    assert all(list(row) == [column.name for column in COLUMNS] for row in rows)
    assert [row["outcome"] for row in own] == ["solved", "unsolved", "solved", "unsolved", "missing"]
    assert [row["change"] for row in own] == ["same", "regressed", "fixed", None, None]
    assert [row["baseline_outcome"] for row in own] == ["solved", "solved", "unsolved", "unsupported", "solved"]
    assert {(row["is_baseline"], row["baseline_outcome"]) for row in rows if row["recipe"] == "auto"} == {(True, None)}
    assert own[4]["n_samples"] is own[4]["completion"] is None


def test_scores_have_their_columns() -> None:
    rows = list(case_rows(results(scored_session([0.5], [0.25]))))

    assert [(row["outcome"], row["bleu"], row["change"]) for row in rows] == [
        ("scored", 0.5, None),
        ("scored", 0.25, None),
    ]


def test_a_run_without_cases_has_no_tables(tmp_path: Path) -> None:
    TABLES.write(results(session("", "")), tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_cell_of_the_csv_is_a_formula(tmp_path: Path, text: str) -> None:
    """Nor ends it early; every row has all columns."""
    write_csv([row_of(text)], tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(encoding="utf-8", newline="") as file:
        header, cells = csv.reader(file)

    assert len(header) == len(cells) == len(COLUMNS)
    assert not cells[-1].lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\t", "\r"))
    assert cells[-1].removeprefix("'").replace("\\x00", "\0") == text


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_code_is_in_the_csv_as_it_is(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Code that begins like no formula, and holds no NUL, comes back to the character."""
    code = f"    return 1  # {text}".replace("\0", "")
    path = tmp_path_factory.getbasetemp() / "cases.csv"
    write_csv([row_of(code)], path)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1][-1] == code


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    """What is undefined is empty, and a text is in quotes."""
    write_csv([row_of("pass")], tmp_path / "cases.csv")

    line = (tmp_path / "cases.csv").read_text(encoding="utf-8").splitlines()[1]
    assert line == (
        '"micro","micro/0","",0,False,"int8",False,"solved","","",1,1,"passed","","stop",11,0.1,0.6,0.01,"","","pass"'
    )


def test_the_parquet_file_has_the_types_and_the_very_text(tmp_path: Path) -> None:
    """Hostile or not; no cell is changed."""
    parquet = pytest.importorskip("pyarrow.parquet")
    found = session("+" * len(HOSTILE), "")
    records = [
        replace(with_text(text), recipe="auto", case=record("auto", n, "+").case) for n, text in enumerate(HOSTILE)
    ]
    found = replace(found, records=records)
    TABLES.write(results(found), tmp_path)
    table = parquet.read_table(tmp_path / "cases.parquet")

    kinds = {"string": "string", "int64": "int64", "float64": "double", "bool": "bool"}
    assert {field.name: str(field.type) for field in table.schema} == {one.name: kinds[one.kind] for one in COLUMNS}
    assert table.column("completion").to_pylist()[: len(HOSTILE)] == HOSTILE


@pytest.mark.skipif(not EXAMPLE.exists(), reason="an installed package has no examples beside its tests")
def test_the_script_of_the_documentation_runs(tmp_path: Path) -> None:
    """And shows what flipped."""
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    TABLES.write(results(session("++--", "+-+-")), tmp_path)
    command = [sys.executable, str(EXAMPLE), str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    assert re.search(r"int8 +micro/1 +regressed +failed +assert 1 == 2", shown)
    assert re.search(r"int8 +micro/2 +fixed +passed", shown)
    assert re.search(r"micro +0.5 +0.5", shown)
