"""HumanEval in JavaScript as a suite: recorded completions are judged, and refusals name the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.javascript import humaneval
from pytest_qeval.benchmarks.rows import sha256_of
from tests.javascript import NAME, needs_node, published_row, write_rows
from tests.plugin.runs import check_refusal, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]

ROWS = [
    published_row(23, "strlen(string)", (['""'], "0"), (['"abc"'], "3")),
    published_row(53, "add(x, y)", (["0", "1"], "1"), (["2", "3"], "5")),
    published_row(60, "sumToN(n)", (["1"], "1"), (["6"], "21")),
    published_row(92, "anyInt(x)", (["3.0"], "false")),
]


@pytest.fixture(autouse=True)
def data(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay a small file of the published form into the project."""
    folder = write_rows(pytester.mkdir("data"), *ROWS)
    monkeypatch.setattr(humaneval, "SHA256", sha256_of((folder / NAME).read_bytes()))


def samples(pytester: pytest.Pytester, *completions: str) -> str:
    rows = ({"task_id": row["task_id"], "completion": text} for row, text in zip(ROWS, completions, strict=False))
    return write_samples(pytester.path / "completions.jsonl", rows)


@needs_node
def test_a_samples_file_is_scored(run: Run, pytester: pytest.Pytester) -> None:
    """The task ids choose the suite; what follows the function is cut off, and samples hold the rest."""
    completions = ("  return string.length;\n}\n\nconsole.log(1)\n", "  return x", "  // nothing\n")
    result = run(
        "--qeval-completions", samples(pytester, *completions), "--qeval-data", "data", "--qeval-output", "out"
    )

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["humaneval-js*pass@1*", "*replay*33.3%*1/3*", "*2 of * problems left out: HumanEval_javascript/92 (*"]
    )
    executions = [record["samples"][0]["execution"] for record in read_records(pytester.path / "out")]
    assert [execution["status"] for execution in executions] == ["passed", "failed", "empty"]
    assert executions[1]["detail"] == "add(0, 1) gave 0, expected 1"
    report = read_report(pytester.path / "out")["benchmarks"]["humaneval-js"]
    assert report["version"].startswith("1.1, Node.js ")
    written = (pytester.path / "out" / "samples.jsonl").read_text(encoding="utf-8")
    assert '"completion": "  return string.length;\\n}\\n"' in written


@needs_node
def test_chat_completions_are_scored(run: Run, pytester: pytest.Pytester) -> None:
    """Fenced code is extracted, and the samples that are written can be replayed."""
    completions = [
        "```javascript\nconst strlen = (text) => text.length;\n```",
        "Sure:\n```js\nfunction add(a, b) {\n  return a + b;\n}\n```",
        "```javascript\nfunction sumToN(n) {\n  return n;\n}\n```",
    ]
    asked = ("--qeval-data", "data", "--qeval-output")
    first = run("--qeval-completions", samples(pytester, *completions), *asked, "out")
    again = run("--qeval-completions", "out/samples.jsonl", *asked, "again")

    for result, folder in ((first, "out"), (again, "again")):
        assert result.ret == pytest.ExitCode.OK
        statuses = [record["samples"][0]["execution"]["status"] for record in read_records(pytester.path / folder)]
        assert statuses == ["passed", "passed", "failed"]


@needs_node
def test_the_self_test_covers_it(run: Run) -> None:
    """References pass, broken and hostile bodies fail."""
    result = run("--qeval-selftest", "--qeval-suite", "humaneval-js", "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["self-test: humaneval-js: 3 of 3 references pass, 9 of 9 broken bodies fail"])


@needs_node
def test_perturbations_are_refused(run: Run, pytester: pytest.Pytester) -> None:
    """They change Python."""
    result = run(
        "--qeval-completions", samples(pytester, "  return string.length;\n"), "--qeval-data", "data",
        "--qeval-suite", "robustness", "--qeval-benchmark", "humaneval-js",
    )  # fmt: skip

    check_refusal(
        result,
        "*the prompt of humaneval-js cannot be perturbed, since it is JavaScript, and perturbations change Python*",
    )


def test_node_has_to_be_there(run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with the remedy, before anything is loaded."""
    monkeypatch.setenv("PATH", str(Path(pytester.path)))
    result = run("--qeval-completions", samples(pytester, "  return 1;\n"), "--qeval-data", "data")

    check_refusal(result, "*there is no `node` on the PATH: install version 18 or newer (apt-get install nodejs*")
