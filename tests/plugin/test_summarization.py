"""Code summarization from end to end: completions are scored, compared with a baseline and gated."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.text.summarization import PATH
from pytest_qeval.schema import Json
from pytest_qeval.stats.bleu import chrf, smoothed_bleu
from tests.plugin.runs import REPLAY, check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(300)

N = 8
ALL: Sequence[Json] = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]
ROWS: Sequence[Json] = [ALL[number] for number in (0, 2, 7, 11, 16, 33, 44, 46)]
"""What a limit of eight takes: of every module one function, before any has two."""
REFERENCES = [row["reference"] for row in ROWS]
SHORTER = [" ".join(reference.split()[:-2]) if n % 2 else reference for n, reference in enumerate(REFERENCES)]
WORSE = [*SHORTER[:6], "", "Something else entirely."]


def write_completions(pytester: pytest.Pytester, name: str, completions: Sequence[str]) -> str:
    rows = ({"task_id": row["task_id"], "completion": text} for row, text in zip(ROWS, completions, strict=True))
    return write_samples(pytester.path / name, rows)


def by_task(folder: Path) -> dict[str, Json]:
    return {record["task_id"]: record for record in read_records(folder)}


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_completions_are_scored(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Every case passes with its scores, an empty completion too; nothing is solved or unsolved."""
    samples = write_completions(pytester, "completions.jsonl", WORSE)
    result = run(*mode, "-v", *REPLAY, samples, "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    empty = f"*SCORED bleu {100 * smoothed_bleu('', REFERENCES[6]):.1f} chrf 0.0*"
    result.stdout.fnmatch_lines_random(
        ["*SCORED bleu 100.0 chrf 100.0*", empty, "*replay*8, 1 empty*", "*8 scored in*"]
    )
    records = by_task(pytester.path / "out")
    for row, text in zip(ROWS, WORSE, strict=True):
        record = records[row["task_id"]]
        assert (record["outcome"], record["samples"][0]["execution"]["status"]) == ("scored", "scored")
        expected = {"bleu": smoothed_bleu(text, row["reference"]), "chrf": chrf(text, row["reference"])}
        assert record["measurements"] == pytest.approx(expected, abs=1e-9)
    section = read_report(pytester.path / "out")["summarization"]["summarization"]["results"]["replay"]
    assert (section["scored"], section["missing"], section["empty"]) == (N, 0, 1)
    assert section["bleu"]["value"] == pytest.approx(
        sum(record["measurements"]["bleu"] for record in records.values()) / N
    )
    assert read_report(pytester.path / "out")["benchmarks"] == {}


def test_a_baseline_keeps_its_scores(run: Run, pytester: pytest.Pytester) -> None:
    """Saved once, compared later, gated by drops; two finished runs give the very same numbers."""
    before, after = write_completions(pytester, "a.jsonl", SHORTER), write_completions(pytester, "b.jsonl", WORSE)
    gates = ("--qeval-gate", "bleu drop <= 1pt", "--qeval-gate", "chrf drop <= 90%")
    run(*REPLAY, before, "--qeval-output", "a", "--qeval-save-baseline", "a.json.gz")
    result = run(*REPLAY, after, "--qeval-output", "b", "--qeval-baseline", "a.json.gz", *gates)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*replay against replay (saved): BLEU −*",
            "*0 higher, 2 lower*",
            "*FAIL  bleu drop <= 1pt  (replay, summarization)*",
            "*PASS  chrf drop <= 90%*",
        ]
    )
    (compared,) = read_report(pytester.path / "b")["summarization"]["summarization"]["comparisons"].values()
    a, b = (by_task(pytester.path / folder) for folder in "ab")
    lost = [a[task_id]["measurements"]["bleu"] - b[task_id]["measurements"]["bleu"] for task_id in a]
    assert compared["bleu"]["delta"]["value"] == pytest.approx(-sum(lost) / N)
    assert compared["bleu"]["margin"] == 0.01

    again = run("--qeval-compare", "a/records.jsonl", "b/records.jsonl", "--qeval-output", "c", *gates)
    assert again.ret == pytest.ExitCode.TESTS_FAILED
    (found,) = read_report(pytester.path / "c")["summarization"]["summarization"]["comparisons"].values()
    assert {**found, "baseline": ""} == {**compared, "baseline": ""}


def test_sentences_are_not_executed(run: Run, pytester: pytest.Pytester) -> None:
    """A gate on solved problems needs a benchmark of code."""
    samples = write_completions(pytester, "completions.jsonl", WORSE)
    result = run("--qeval-completions", samples, "--qeval-gate", "pass@1 >= 0.1")

    check_refusal(result, "*needs a benchmark whose completions are executed; summarization has none*")


def test_code_has_no_scores(run: Run, samples: Path) -> None:
    """A gate on scores needs a benchmark of text."""
    result = run(*REPLAY, str(samples), "--qeval-gate", "bleu >= 0.1")

    check_refusal(result, "*needs a benchmark whose completions are scored; micro has none*")


def test_several_samples_count_by_their_mean(run: Run, pytester: pytest.Pytester) -> None:
    """A case has the mean score of its samples."""
    samples = write_completions(pytester, "completions.jsonl", REFERENCES)
    with (pytester.path / samples).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"task_id": ROWS[0]["task_id"], "completion": ""}) + "\n")
    run("--qeval-completions", samples, "--qeval-output", "out")

    record = by_task(pytester.path / "out")[ROWS[0]["task_id"]]
    assert len(record["samples"]) == 2
    assert record["measurements"]["chrf"] == pytest.approx(0.5)


def test_allure_shows_the_sentences_and_their_scores(run: Run, pytester: pytest.Pytester) -> None:
    """Code, completion and reference are attached; there is no test to show. Three modules give problems 0, 2 and 7."""
    samples = write_completions(pytester, "completions.jsonl", SHORTER)
    run("--qeval-completions", samples, "--alluredir", "allure", "--qeval-limit", "3")
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in pytester.path.glob("allure/*-result.json")]
    row = next(row for row in rows if row["name"] == "summarization/2 · replay")

    assert row["status"] == "passed"
    attached = [one["name"] for step in row["steps"] for one in step["attachments"]]
    assert attached == ["prompt", "completion", "reference"]
    measured = {one["name"]: one["value"] for one in row["parameters"]}
    assert measured["bleu"] == f"{smoothed_bleu(SHORTER[1], REFERENCES[1]):.3f}"


def test_the_harness_tests_its_scores(run: Run, pytester: pytest.Pytester) -> None:
    """References score 1, everything else scores less."""
    result = run("--qeval-selftest", "--qeval-suite", "summarization", "--qeval-limit", "5", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*summarization: 5 of 5 references pass, 15 of 15 broken bodies fail*"])
    read_report(pytester.path / "out")


def test_codesearchnet_is_read_from_a_folder(run: Run, pytester: pytest.Pytester) -> None:
    """In CodeXGLUE's layout, by the suite of its name."""
    folder = pytester.mkdir("data")
    row = {"code": 'def f(x):\n    """Give x back at once."""\n    return x\n', "docstring": "Give x back at once."}
    path = folder / "code-to-text" / "python" / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(row), encoding="utf-8")
    completion = {"task_id": "CodeSearchNet/0", "completion": "Give x back at once."}
    file = write_samples(pytester.path / "completions.jsonl", [completion])
    data = ("--qeval-data", "data", "--qeval-output", "out")
    result = run("--qeval-completions", file, "--qeval-suite", "codesearchnet", *data)

    assert result.ret == pytest.ExitCode.OK
    assert (
        read_report(pytester.path / "out")["summarization"]["codesearchnet"]["results"]["replay"]["bleu"]["value"] == 1
    )


LOST, REGRESSED = "bleu drop <= 90pt", "regressed <= 3"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("mode", "gates"),
    [
        (("-p", "no:xdist", "--qeval-until-decided"), {REGRESSED: "pass"}),
        (("-n2", "--qeval-strict"), {LOST: "fail", REGRESSED: "pass"}),
    ],
    ids=["no-xdist until decided", "n2"],
)
def test_a_model_is_scored(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...], gates: dict[str, str]) -> None:
    """The embedded model writes code and no sentences: it scores nothing that could be lost, which breaks the gate.

    A recipe that may end early is still scored on every problem: gates on solved problems decide nothing about them.
    """
    asked = [word for gate in gates for word in ("--qeval-gate", gate)]
    result = run(
        *mode, "--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-suite", "summarization", "--qeval-suite",
        "micro", "--qeval-limit", "3", "--qeval-max-new-tokens", "8", "--qeval-output", "out", *asked,
    )  # fmt: skip

    assert result.ret == (pytest.ExitCode.TESTS_FAILED if "fail" in gates.values() else pytest.ExitCode.OK)
    report = read_report(pytester.path / "out")
    results = report["summarization"]["summarization"]["results"]
    assert [results[name]["scored"] for name in ("auto", "int8")] == [3, 3]
    assert all(results[name]["bleu"]["value"] < 0.1 for name in results)
    assert list(report["benchmarks"]) == ["micro"]
    benchmarks = {LOST: "summarization", REGRESSED: "micro"}
    assert [(gate["benchmark"], gate["outcome"]) for gate in report["gates"]] == [
        (benchmarks[gate], outcome) for gate, outcome in gates.items()
    ]
    result.stdout.no_fnmatch_line("*summarization: 3 problems can rule out*")
