"""Rows of CRUXEval's file, and where they come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.benchmarks.cruxeval import rows as crux_rows
from pytest_qeval.benchmarks.cruxeval.input import CRUXEVAL_INPUT
from pytest_qeval.benchmarks.cruxeval.output import CRUXEVAL_OUTPUT
from pytest_qeval.benchmarks.cruxeval.rows import read_data, read_rows
from pytest_qeval.benchmarks.rows import sha256_of
from pytest_qeval.errors import DataError
from tests.unit.benchmarks.cruxeval.rows import CALLING, JOIN, NAMED, NOTHING

ROW = {"code": JOIN.code, "input": JOIN.arguments, "output": JOIN.output, "id": "sample_0"}
LINE = json.dumps(ROW)


def test_a_row_is_read() -> None:
    """By the names of the published fields."""
    assert read_rows(LINE.encode(), source="x") == (JOIN,)
    assert JOIN.call == "f(['a', 'b'], '!')"
    assert [row.takes_function for row in (JOIN, NAMED, CALLING, NOTHING)] == [False, False, True, False]


FLAWS: Mapping[str, tuple[str, str]] = {
    "no field": ('{"code": ""}', "x, line 1: expected the text fields input, output, id"),
    "another id": (json.dumps(ROW | {"id": "12"}), "x, line 1: expected an id such as sample_0, found '12'."),
    "twice": (f"{LINE}\n{LINE}", "x, line 2: the id 'sample_0' occurs twice."),
    "no function": (json.dumps(ROW | {"code": "f = 1"}), "line 1 (sample_0): code is no Python that defines"),
    "another function": (json.dumps(ROW | {"code": "def g(): 1"}), "line 1 (sample_0): code defines no function f."),
    "no code": (json.dumps(ROW | {"code": "def f(:"}), "line 1 (sample_0): code is no Python that defines"),
    "no arguments": (json.dumps(ROW | {"input": "1)"}), "line 1 (sample_0): input is not what stands between"),
    "more than a call": (json.dumps(ROW | {"input": "1) + (2"}), "line 1 (sample_0): input is not what stands"),
    "no literal": (json.dumps(ROW | {"output": "a"}), "line 1 (sample_0): output is no literal."),
    "two lines": (json.dumps(ROW | {"output": "'''\n'''"}), "line 1 (sample_0): input and output must be on one line."),
    "nothing": ("\n", "x holds no problems."),
}


@pytest.mark.parametrize(("content", "sentence"), FLAWS.values(), ids=FLAWS)
def test_a_row_that_cannot_be_asked_is_refused(content: str, sentence: str) -> None:
    with pytest.raises(DataError, match=re.escape(sentence)):
        read_rows(content.encode(), source="x")


def test_other_data_are_refused(tmp_path: Path) -> None:
    """Whatever is in the file that the user names; nothing is fetched instead."""
    (tmp_path / "cruxeval.jsonl").write_text(LINE, encoding="utf-8")

    for source in (CRUXEVAL_INPUT, CRUXEVAL_OUTPUT):
        assert source.is_here(tmp_path)
        assert not source.is_here(None)
        with pytest.raises(DataError, match=r"cruxeval\.jsonl is not CRUXEval: sha256 .* point --qeval-data at the"):
            source.load(tmp_path)


def test_the_hub_s_rows_become_the_published_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte: its last line has no end."""
    asked: list[Any] = []

    def fetch_rows(*arguments: str, **options: Any) -> list[dict[str, str]]:
        asked.append((*arguments, options["split"], options["fields"]))
        return [ROW, ROW | {"id": "sample_1"}]

    content = f"{LINE}\n{json.dumps(ROW | {'id': 'sample_1'})}".encode()
    monkeypatch.setattr(crux_rows, "fetch_rows", fetch_rows)
    monkeypatch.setattr(crux_rows, "SHA256", sha256_of(content))
    found = read_data(None)

    assert found.sha256 == sha256_of(content)
    assert [row.number for row in found.rows] == [0, 1]
    assert asked == [("cruxeval-org/cruxeval", "test", ("code", "input", "output", "id"))]
