"""Code summarization from end to end: answers are scored, compared with a baseline and gated, in all three modes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.benchmarks.text.summarization import PATH
from pytest_qeval.records.journal import read_journal
from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Json, Record
from pytest_qeval.stats.bleu import chrf, smoothed_bleu

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(300)

N = 8
ROWS: Sequence[Json] = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()[:N]]
REFERENCES = [row["reference"] for row in ROWS]
SHORTER = [" ".join(reference.split()[:-2]) if n % 2 else reference for n, reference in enumerate(REFERENCES)]
WORSE = [*SHORTER[:6], "", "Something else entirely."]


def write_samples(pytester: pytest.Pytester, name: str, answers: Sequence[str]) -> str:
    rows = ({"task_id": row["task_id"], "completion": answer} for row, answer in zip(ROWS, answers, strict=True))
    (pytester.path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


def report_of(pytester: pytest.Pytester, folder: str) -> Json:
    report: Json = json.loads((pytester.path / folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    return report


def records_of(pytester: pytest.Pytester, folder: str) -> dict[str, Record]:
    _, messages = read_journal(pytester.path / folder / "records.jsonl")
    return {message.case.task_id: message for message in messages if isinstance(message, Record)}


def test_answers_are_scored(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Every case passes with its scores, an empty answer too; nothing is solved or unsolved."""
    samples = write_samples(pytester, "answers.jsonl", WORSE)
    result = run(*mode, "-v", "--qeval-completions", samples, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines_random(
        ["*SCORED bleu 100.0 chrf 100.0*", "*SCORED bleu 0.1 chrf 0.0*", "*replay*8, 1 empty*", "*8 scored in*"]
    )
    records = records_of(pytester, "out")
    for row, answer in zip(ROWS, WORSE, strict=True):
        record = records[row["task_id"]]
        assert (record.outcome, record.samples[0].execution.status) == ("scored", "scored")
        expected = {"bleu": smoothed_bleu(answer, row["reference"]), "chrf": chrf(answer, row["reference"])}
        assert record.measurements == pytest.approx(expected, abs=1e-9)
    section = report_of(pytester, "out")["summarization"]["summarization"]["results"]["replay"]
    assert (section["scored"], section["missing"], section["empty"]) == (N, 0, 1)
    assert section["bleu"]["value"] == pytest.approx(sum(r.measurements["bleu"] for r in records.values()) / N)
    assert report_of(pytester, "out")["benchmarks"] == {}


def test_a_baseline_keeps_its_scores(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Saved once, compared later, gated by drops; two finished runs give the very same numbers."""
    before, after = write_samples(pytester, "a.jsonl", SHORTER), write_samples(pytester, "b.jsonl", WORSE)
    gates = ("--qeval-gate", "bleu drop <= 1pt", "--qeval-gate", "chrf drop <= 90%")
    run("--qeval-completions", before, "--qeval-output", "a", "--qeval-save-baseline", "a.json.gz")
    result = run(*mode, "--qeval-completions", after, "--qeval-output", "b", "--qeval-baseline", "a.json.gz", *gates)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*replay against replay (saved): BLEU −*",
            "*0 higher, 2 lower*",
            "*FAIL  bleu drop <= 1pt  (replay, summarization)*",
            "*PASS  chrf drop <= 90%*",
        ]
    )
    (compared,) = report_of(pytester, "b")["summarization"]["summarization"]["comparisons"].values()
    a, b = (records_of(pytester, folder) for folder in "ab")
    lost = [a[task_id].measurements["bleu"] - b[task_id].measurements["bleu"] for task_id in a]
    assert compared["bleu"]["delta"]["value"] == pytest.approx(-sum(lost) / N)
    assert compared["bleu"]["margin"] == 0.01

    if mode == ("-n0",):  # what is compared are files, whoever wrote them
        again = run("--qeval-compare", "a/records.jsonl", "b/records.jsonl", "--qeval-output", "c", *gates)
        assert again.ret == pytest.ExitCode.TESTS_FAILED
        (found,) = report_of(pytester, "c")["summarization"]["summarization"]["comparisons"].values()
        assert {**found, "baseline": ""} == {**compared, "baseline": ""}


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        ("pass@1 >= 0.1", "*needs a benchmark whose completions are executed; summarization has none*"),
        ("bleu >= 15", "*15 is no share; write '15pt'*"),
        ("rouge >= 0.1", "*names no known metric*bleu*"),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused(run: Run, pytester: pytest.Pytester, gate: str, sentence: str) -> None:
    """Before anything is scored."""
    samples = write_samples(pytester, "answers.jsonl", WORSE)
    result = run("--qeval-completions", samples, "--qeval-gate", gate)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([sentence])


def test_code_has_no_scores(run: Run, samples: Path) -> None:
    """The other way round."""
    result = run("--qeval-completions", str(samples), "--qeval-gate", "bleu >= 0.1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*needs a benchmark whose completions are scored; micro has none*"])


def test_several_answers_count_by_their_mean(run: Run, pytester: pytest.Pytester) -> None:
    samples = write_samples(pytester, "answers.jsonl", REFERENCES)
    with (pytester.path / samples).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"task_id": ROWS[0]["task_id"], "completion": ""}) + "\n")
    run("--qeval-completions", samples, "--qeval-output", "out")

    record = records_of(pytester, "out")[ROWS[0]["task_id"]]
    assert len(record.samples) == 2
    assert record.measurements["chrf"] == pytest.approx(0.5)


def test_allure_shows_the_sentences_and_their_scores(run: Run, pytester: pytest.Pytester) -> None:
    """Code, answer and reference are attached; there is no test to show."""
    samples = write_samples(pytester, "answers.jsonl", SHORTER)
    run("--qeval-completions", samples, "--alluredir", "allure", "--qeval-limit", "2")
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in pytester.path.glob("allure/*-result.json")]
    row = next(row for row in rows if row["name"] == "summarization/1 · replay")

    assert row["status"] == "passed"
    assert [attached["name"] for attached in row["attachments"]][:3] == ["prompt", "completion", "reference"]
    assert f"bleu: {smoothed_bleu(SHORTER[1], REFERENCES[1]):.3f}" in row["description"]


def test_the_harness_tests_its_scores(run: Run, pytester: pytest.Pytester) -> None:
    """References score 1, whatever else is said scores less."""
    result = run("--qeval-selftest", "--qeval-suite", "summarization", "--qeval-limit", "5", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*summarization: 5 of 5 references pass, 15 of 15 broken bodies fail*"])
    report_of(pytester, "out")


def test_codesearchnet_is_read_from_a_folder(run: Run, pytester: pytest.Pytester) -> None:
    """In CodeXGLUE's layout, and asked by the suite of its name."""
    folder = pytester.mkdir("data")
    row = {"code": 'def f(x):\n    """Give x back at once."""\n    return x\n', "docstring": "Give x back at once."}
    path = folder / "code-to-text" / "python" / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(row), encoding="utf-8")
    answer = {"task_id": "CodeSearchNet/0", "completion": "Give x back at once."}
    pytester.path.joinpath("answers.jsonl").write_text(json.dumps(answer), encoding="utf-8")
    asked = ("--qeval-data", "data", "--qeval-output", "out")
    result = run("--qeval-completions", "answers.jsonl", "--qeval-suite", "codesearchnet", *asked)

    assert result.ret == pytest.ExitCode.OK
    assert report_of(pytester, "out")["summarization"]["codesearchnet"]["results"]["replay"]["bleu"]["value"] == 1


@pytest.mark.timeout(600)
def test_a_model_is_asked(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """The embedded model writes code and no sentences: it scores next to nothing, and both recipes are compared."""
    result = run(
        *mode, "--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-suite", "summarization", "--qeval-suite",
        "micro", "--qeval-limit", "3", "--qeval-max-new-tokens", "12", "--qeval-output", "out", "--qeval-strict",
        "--qeval-gate", "bleu drop <= 90pt", "--qeval-gate", "regressed <= 3",
    )  # fmt: skip

    assert result.ret == pytest.ExitCode.OK
    report = report_of(pytester, "out")
    results = report["summarization"]["summarization"]["results"]
    assert [results[name]["scored"] for name in ("auto", "int8")] == [3, 3]
    assert all(results[name]["bleu"]["value"] < 0.1 for name in results)
    assert list(report["benchmarks"]) == ["micro"]
    assert [(gate["benchmark"], gate["outcome"]) for gate in report["gates"]] == [
        ("summarization", "pass"), ("micro", "pass"),
    ]  # fmt: skip
    result.stdout.no_fnmatch_line("*summarization: 3 problems can prove*")


@pytest.mark.timeout(600)
def test_nothing_scored_is_left_early(run: Run, pytester: pytest.Pytester) -> None:
    """Gates on solved problems decide nothing about sentences, and a gate on these needs all of them."""
    asked = (
        "--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-suite", "summarization", "--qeval-suite", "micro",
        "--qeval-limit", "3", "--qeval-max-new-tokens", "8", "--qeval-until-decided", "--qeval-output", "out",
    )  # fmt: skip
    result = run(*asked, "--qeval-gate", "pass@1 drop <= 100pt")
    refused = run(*asked, "--qeval-gate", "pass@1 drop <= 2pt", "--qeval-gate", "bleu drop <= 1pt")

    assert result.ret == pytest.ExitCode.OK
    results = report_of(pytester, "out")["summarization"]["summarization"]["results"]
    assert results["int8"]["scored"] == 3
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*cannot leave anything out for the gate 'bleu drop <= 1pt'*"])
