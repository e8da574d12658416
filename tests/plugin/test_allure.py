"""Allure results: one stable, readable test a case, and one a gate."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY

Run = Callable[..., pytest.RunResult]


ALLURE = shutil.which("allure")
"""Allure 3, of the npm package `allure`."""


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
    assert first["micro/3 · replay"]["statusDetails"]["message"].startswith("unsolved: failed")
    assert first["pass@1 >= 0.5 (replay, micro)"]["status"] == "passed"
    assert first["pass@1 >= 0.9 (replay, micro)"]["status"] == "failed"
    check_attachments(pytester.path / "first", first["micro/3 · replay"])


def check_attachments(folder: Path, row: Json) -> None:
    """Every step has its texts as source code; the case and the recipe identify the result, measurements do not."""
    steps = {step["name"].partition(":")[0]: step for step in row["steps"]}
    texts = {
        attached["name"]: (folder / attached["source"]).read_text(encoding="utf-8")
        for step in steps.values()
        for attached in step["attachments"]
        if attached["type"] == "text/python"
    }
    assert list(steps) == ["prompt", "completion", "program", "execution", "canonical solution"]
    assert texts["prompt"].startswith("def ")
    assert texts["program"] == texts["prompt"] + texts["completion"] == texts["prompt"] + "    return None\n"
    assert "def check" in texts["test"]
    assert steps["execution"]["status"] == "failed"
    identifying = {p["name"]: p["value"] for p in row["parameters"] if not p.get("excluded")}
    assert identifying == {"benchmark": "micro", "task_id": "micro/3", "recipe": "replay"}
    assert {p["name"] for p in row["parameters"] if p.get("excluded")} >= {"execution, s"}


def test_a_broken_harness_is_a_fault_of_its_case(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A case whose test fails has no record: its result keeps its status, and has the identity of its case."""
    pytester.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.qeval("micro")
        def test_own(qeval, case):
            if case.task_id == "micro/1":
                raise OSError("the disk is full")
            qeval(case)
        """
    )
    run("test_own.py", *REPLAY, str(samples), "--alluredir", "allure")
    found = results_of(pytester.path / "allure")

    assert found["micro/1 · replay"]["status"] == "broken"
    assert found["micro/1 · replay"]["fullName"] == "micro:micro/1:replay"
    assert found["micro/0 · replay"]["fullName"] == "micro:micro/0:replay"
    assert {label["name"]: label["value"] for label in found["micro/1 · replay"]["labels"]}["story"] == "replay"


def test_results_of_earlier_runs_stay(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A second run in the same folder adds its results, and touches no other file."""
    run(*REPLAY, str(samples), "--alluredir", "allure")
    first = {path: path.read_bytes() for path in pytester.path.glob("allure/*-result.json")}
    run(*REPLAY, str(samples), "--alluredir", "allure")

    assert {path: path.read_bytes() for path in first} == first
    assert len(list(pytester.path.glob("allure/*-result.json"))) == 2 * len(first)


@pytest.mark.skipif(ALLURE is None, reason="the program allure of the npm package is not in PATH")
def test_allure_3_makes_html_with_categories_and_history(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Two runs of the same cases have one history; the categories of `allurerc.json` are those of the results."""
    for _ in range(2):
        run(*REPLAY, str(samples), "--alluredir", "res", "--clean-alluredir", "--qeval-gate", "pass@1 >= 0.9")
        command = ["generate", "res", "--config", "res/allurerc.json", "--output", "site"]
        subprocess.run([str(ALLURE), *command], cwd=pytester.path, check=True, capture_output=True)

    history = (pytester.path / "allure-history.jsonl").read_text(encoding="utf-8").splitlines()
    first, second = (set(json.loads(line)["testResults"]) for line in history)
    assert first == second
    assert len(first) == 8 + 1
    categories = (pytester.path / "site" / "widgets" / "categories.json").read_text(encoding="utf-8")
    assert "gates that are broken" in categories
    assert "unsolved, nothing to compare with" in categories
    assert (pytester.path / "site" / "index.html").is_file()
