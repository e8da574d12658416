"""Allure results of cases, completed when the run has ended, and the files that describe the folder."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.report.allure.case import KEY_LABEL, key_of
from pytest_qeval.report.allure.folder import categories, executor_of, write_folder
from pytest_qeval.report.allure.results import AllureRun, finish_cases, kind_of
from pytest_qeval.report.allure.text import writable
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import case, record, session

NOW_MS = 1_800_000_000_000
HOSTILE = "</script>\x1b[31m\x00\u202e=cmd()\ud800"


def finished(found: SummaryInput, *, saved: bool = False) -> AllureRun:
    records = {(one.recipe, one.case): one for one in found.records}
    return AllureRun(summary=summarize(found), records=records, saved=lambda _recipe, _case: saved)


def write(folder: Path, recipe: str, own: Case, *, status: str = "skipped", start: int = NOW_MS) -> Path:
    """Write a result as allure-pytest does."""
    labels = [{"name": KEY_LABEL, "value": key_of(recipe, own)}, {"name": "package", "value": "site-packages.x"}]
    steps = [
        {"name": "completion: 3 tokens", "status": "passed", "start": start, "stop": start},
        {"name": "execution: failed", "status": "passed", "start": start, "stop": start},
    ]
    path = folder / f"{recipe}-{own.label.replace('/', '-')}-result.json"
    row = {"name": "x", "status": status, "start": start, "stop": start + 55_000, "labels": labels, "steps": steps}
    path.write_text(json.dumps({**row, "fullName": "site-packages/x", "titlePath": ["site-packages"]}))
    return path


def completed(folder: Path, found: SummaryInput, recipe: str = "int8", number: int = 0, *, saved: bool = False) -> Json:
    path = write(folder, recipe, case(number))
    finish_cases(folder, finished(found, saved=saved))
    row: Json = json.loads(path.read_text(encoding="utf-8"))
    return row


def tags(row: Json) -> list[str]:
    return [label["value"] for label in row["labels"] if label["name"] == "tag"]


@pytest.mark.parametrize(
    ("outcomes", "status", "begin", "severity"),
    [
        ("+-", "failed", "regressed: auto solved it, int8 did not. failed: assert 1 == 2", "critical"),
        ("--", "skipped", "unsolved by both: failed", "minor"),
        ("-+", "passed", "fixed: auto did not solve it", "trivial"),
        ("++", "passed", "", "normal"),
        (" -", "skipped", "unsolved: failed", "normal"),
        ("+?", "skipped", "not judged: unsupported", "minor"),
        ("?-", "skipped", "unsolved: failed", "normal"),
    ],
)
def test_status_and_severity_follow_the_flip(
    tmp_path: Path, outcomes: str, status: str, begin: str, severity: str
) -> None:
    """Outcomes are the baseline's and the candidate's."""
    row = completed(tmp_path, session(*outcomes))

    assert row["status"] == status
    assert row["statusDetails"].get("message", "").startswith(begin)
    assert {"name": "severity", "value": severity} in row["labels"]


def test_a_regressed_case_shows_both_completions(tmp_path: Path) -> None:
    """Allure shows expected and actual as a difference; the baseline's text and a diff are attached, too."""
    found = session("+", "-")
    found = replace(found, records=[found.records[0], _with_text(found.records[1], "    return 2\n")])
    row = completed(tmp_path, found)

    assert (row["statusDetails"]["expected"], row["statusDetails"]["actual"]) == ("pass", "    return 2\n")
    attached = {one["name"]: (tmp_path / one["source"]).read_text() for one in row["steps"][0]["attachments"]}
    assert attached["completion of auto"] == "pass"
    assert attached["difference from auto"].splitlines() == [
        "--- auto",
        "+++ int8",
        "@@ -1 +1 @@",
        "-pass",
        "+    return 2",
    ]
    assert tags(row) == ["regressed"]


def test_a_case_is_named_by_what_it_is(tmp_path: Path) -> None:
    """Identity, labels and parameters hold no path, and the duration is not that of the batch."""
    row = completed(tmp_path, session("+", "-"))

    assert row["fullName"] == "micro:micro/0:int8"
    assert "titlePath" not in row
    labels = {label["name"]: label["value"] for label in row["labels"]}
    assert (labels["epic"], labels["feature"], labels["story"]) == ("tiny", "micro", "int8")
    assert not {KEY_LABEL, "package"} & labels.keys()
    identifying = [(one["name"], one["value"]) for one in row["parameters"] if "excluded" not in one]
    assert identifying == [("benchmark", "micro"), ("task_id", "micro/0"), ("recipe", "int8")]
    measured = {one["name"]: one["value"] for one in row["parameters"] if one.get("excluded")}
    assert measured == {
        "generated tokens": "11",
        "TTFT in batch, s": "0.10",
        "time in batch, s": "0.60",
        "execution, s": "0.010",
        "mWh, estimated": "11",  # 0.1 Wh × 11 of 100 tokens
    }
    assert row["stop"] - row["start"] == 120  # 11 tokens at 100 tokens/s, and 10 ms of execution
    assert (row["steps"][1]["status"], row["steps"][1]["stop"]) == ("failed", NOW_MS + 10)


def test_two_recipes_and_two_perturbations_are_different_tests(tmp_path: Path) -> None:
    cases = [
        case(0),
        replace(case(0), perturbation="butter_fingers"),
        replace(case(0), perturbation="butter_fingers", seed=1),
    ]
    found = session("+", "-")
    records = [replace(record(recipe, 0, "+"), case=own) for recipe in ("auto", "int8") for own in cases]
    run = replace(finished(found), records={(one.recipe, one.case): one for one in records})
    for recipe, own in run.records:
        write(tmp_path, recipe, own)
    finish_cases(tmp_path, run)
    rows = [json.loads(path.read_text()) for path in tmp_path.glob("*-result.json")]

    assert len({row["historyId"] for row in rows}) == len(rows) == 6


def test_the_status_of_a_broken_harness_stays(tmp_path: Path) -> None:
    path = write(tmp_path, "int8", case(0), status="broken")
    finish_cases(tmp_path, finished(session("+", "-")))

    assert json.loads(path.read_text())["status"] == "broken"


def test_results_of_a_run_that_was_killed_stay(tmp_path: Path) -> None:
    """Its label is still there, but it is older than this run."""
    path = write(tmp_path, "int8", case(0), start=1000)
    before = path.read_bytes()
    finish_cases(tmp_path, finished(session("+", "-")))

    assert path.read_bytes() == before


def test_a_saved_record_is_marked(tmp_path: Path) -> None:
    row = completed(tmp_path, session("+", "-"), "auto", saved=True)

    assert tags(row) == ["from the saved baseline"]
    assert row["description"].startswith("From the saved baseline")


def test_hostile_text_can_be_written(tmp_path: Path) -> None:
    found = session("+", "-")
    found = replace(found, records=[found.records[0], _with_text(found.records[1], HOSTILE)])
    row = completed(tmp_path, found)

    assert row["statusDetails"]["actual"] == HOSTILE.replace("\ud800", "\\ud800")


@given(st.text(st.characters(), max_size=50))
def test_any_text_can_be_written(text: str) -> None:
    """And text without half of a surrogate pair stays as it is."""
    assert len(writable(text).encode("utf-8")) >= len(text)
    assert (writable(text) == text) == (not any("\ud800" <= character <= "\udfff" for character in text))


@pytest.mark.parametrize("base", ["+", "-", "?", None])
@pytest.mark.parametrize("own", ["+", "-", "?"])
def test_every_kind_falls_into_at_most_one_category(base: str | None, own: str) -> None:
    """Of messages as `finish_cases` writes them; passed ones fall into none."""
    kind = kind_of(record("int8", 0, own), record("auto", 0, base) if base else None)
    status = {"regressed": "failed", "passed": "passed", "fixed": "passed"}.get(kind, "skipped")
    matching = [
        one["name"]
        for one in categories()
        if status in one["matchedStatuses"] and re.fullmatch(one["messageRegex"], f"{kind}: two\nlines")
    ]

    assert len(matching) == (status != "passed")


def test_faults_and_gates_have_categories() -> None:
    def of(status: str, message: str) -> list[str]:
        found = categories()
        return [c["name"] for c in found if status in c["matchedStatuses"] and re.fullmatch(c["messageRegex"], message)]

    assert of("broken", "OSError: full") == of("failed", "Failed: no sandbox") == ["harness fault"]
    assert of("failed", "gate broken: observed 5 pt") == ["gates that are broken"]


def test_the_folder_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
    found = session("+", "-")
    write_folder(tmp_path, summarize(replace(found, run=replace(found.run, command="pytest -k 'a\\b\nc'"))))

    lines = (tmp_path / "environment.properties").read_text(encoding="utf-8").splitlines()
    assert {"model=tiny", "recipe.int8=W8A8 native", "baseline=auto", "sandbox=bwrap"} <= set(lines)
    assert lines[-1] == r"command=pytest -k 'a\\b\nc'"
    configuration = json.loads((tmp_path / "allurerc.json").read_text())
    assert configuration["name"] == "tiny: int8"
    assert json.loads((tmp_path / "categories.json").read_text()) == configuration["categories"] == categories()
    assert not (tmp_path / "executor.json").exists()


def test_the_ci_job_is_named() -> None:
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "me/mine",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_NUMBER": "5",
        "GITHUB_WORKFLOW": "gate",
    }

    assert executor_of(github) == {
        "name": "GitHub Actions",
        "type": "github",
        "buildName": "gate #5",
        "buildUrl": "https://github.com/me/mine/actions/runs/77",
        "buildOrder": 5,
    }
    gitlab = executor_of({"GITLAB_CI": "true", "CI_JOB_NAME": "gate", "CI_PIPELINE_IID": "5", "CI_JOB_URL": "u"})
    assert (gitlab["type"], gitlab["buildUrl"]) == ("gitlab", "u")
    assert executor_of({}) == {}


def _with_text(found: Record, text: str) -> Record:
    sample = replace(found.samples[0], completion=replace(found.samples[0].completion, text=text))
    return replace(found, samples=(sample,))
