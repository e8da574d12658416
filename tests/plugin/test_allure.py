"""Allure results: one stable, readable test a case, and one a gate."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY

Run = Callable[..., pytest.RunResult]


def results_of(folder: Path) -> dict[str, Json]:
    rows = (json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*-result.json"))
    return {row["name"]: row for row in rows}


def test_cases_and_gates_have_stable_names(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Runs have the same titles and history ids, with and without workers."""
    gates = ("--qeval-gate", "pass@1 >= 0.5", "--qeval-gate", "pass@1 >= 0.9")
    for folder, mode in (("first", ("-p", "no:xdist")), ("second", ("-n2",))):
        run(*mode, *REPLAY, str(samples), "--alluredir", folder, *gates)
    first, second = (results_of(pytester.path / folder) for folder in ("first", "second"))

    assert len(first) == 8 + 2
    ids = {name: row["historyId"] for name, row in first.items()}
    assert ids == {name: row["historyId"] for name, row in second.items()}
    assert first["micro/0 · replay"]["status"] == "passed"
    assert first["micro/3 · replay"]["status"] == "skipped"
    assert "unsolved: failed" in first["micro/3 · replay"]["statusDetails"]["message"]
    assert first["pass@1 >= 0.5 (replay, micro)"]["status"] == "passed"
    assert first["pass@1 >= 0.9 (replay, micro)"]["status"] == "failed"
    check_attachments(pytester.path / "first", first["micro/3 · replay"])


def check_attachments(folder: Path, row: Json) -> None:
    """Prompt, completion, canonical solution and test are attached as text; parameters are the case and the recipe."""
    texts = {
        attached["name"]: (folder / attached["source"]).read_text(encoding="utf-8")
        for attached in row["attachments"]
        if attached["type"] == "text/plain"
    }
    assert texts["completion"] == "    return None\n"
    assert texts["prompt"].startswith("def ")
    assert {"canonical solution", "test"} < texts.keys()
    assert {(p["name"], p["value"]) for p in row["parameters"]} == {("qeval_recipe", "'replay'"), ("case", "micro/3")}
