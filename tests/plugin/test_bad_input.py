"""Every mistake on the command line is answered by one sentence and exit status 4, before anything is loaded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

MISTAKES = {
    "unknown recipe": (["--qeval-model", "demo", "--qeval-recipe", "itn8"], "*Did you mean 'int8'*Available:*"),
    "unknown baseline": (["--qeval-model", "demo", "--qeval-baseline", "fp23"], "*no recipe 'fp23'*"),
    "no such model": (["--qeval-model", "./nowhere/model"], "*nowhere/model*"),
    "no such gguf": (["--qeval-model", "nowhere.gguf"], "*nowhere.gguf*"),
    "unknown engine": (["--qeval-model", "demo", "--qeval-engine", "vlm"], "*no engine 'vlm'*"),
    "malformed gate": (["--qeval-model", "demo", "--qeval-gate", "pass@1 dropp <= 2"], "*dropp*"),
    "gate without samples": (
        ["--qeval-model", "demo", "--qeval-gate", "pass@10 >= 0.5"],
        "*needs 10 samples of every problem, but 1 is drawn: add --qeval-samples 10 --qeval-temperature 0.2*",
    ),
    "unreadable gate": (["--qeval-model", "demo", "--qeval-gate", "be good"], "*expected something like*"),
    "gate without baseline": (
        ["--qeval-model", "demo", "--qeval-baseline", "none", "--qeval-gate", "pass@1 drop <= 2pt"],
        "*this run has none*",
    ),
    "greedy samples": (["--qeval-model", "demo", "--qeval-samples", "5"], "*add --qeval-temperature*"),
    "negative limit": (["--qeval-model", "demo", "--qeval-limit=-1"], "*--qeval-limit expects*not '-1'*"),
    "no number": (["--qeval-model", "demo", "--qeval-timeout", "soon"], "*--qeval-timeout expects*not 'soon'*"),
    "endless": (["--qeval-model", "demo", "--qeval-timeout", "inf"], "*--qeval-timeout expects*not 'inf'*"),
    "negative temperature": (["--qeval-model", "demo", "--qeval-temperature=-1"], "*--qeval-temperature expects*"),
    "no probability": (["--qeval-model", "demo", "--qeval-top-p", "1.5"], "*--qeval-top-p expects*"),
    "unknown suite": (["--qeval-model", "demo", "--qeval-suite", "humanevil"], "*no suite 'humanevil'*"),
    "no samples file": (["--qeval-completions", "none.jsonl"], "*there is no file 'none.jsonl'*"),
    "no data folder": (["--qeval-model", "demo", "--qeval-data", "nodir"], "*there is no folder 'nodir'*"),
    "model and samples": (["--qeval-model", "demo", "--qeval-completions", "x"], "*exclude each other*"),
    "replayed recipe": (["--qeval-completions", "x", "--qeval-recipe", "int8"], "*needs a model*"),
}


@pytest.mark.parametrize(("arguments", "line"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_sentence(run: Run, pytester: pytest.Pytester, arguments: list[str], line: str) -> None:
    """Exit status 4, the sentence, no traceback, and no folder of reports."""
    result = run(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert not (pytester.path / ".qeval").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "*holds no samples*"),
        (b'{"task_id": "micro/0"}\n', "*line 1*task_id and completion*"),
        (b'{"task_id": "micro/0", "completion": "x"}\n{"task', "*line 2: not JSON*"),
        (b"\xff\xfe\n", "*line 1: not JSON*"),
        (b"[1]\n", "*line 1: expected a JSON object*"),
        (b'{"task_id": "other/1", "completion": ""}\n', "*holds no completion of a humaneval problem*"),
    ],
)
def test_a_broken_samples_file_names_its_line(run: Run, pytester: pytest.Pytester, content: bytes, line: str) -> None:
    """The file and the line are named, and nothing is run."""
    pytester.path.joinpath("bad.jsonl").write_bytes(content)
    result = run("--qeval-completions", "bad.jsonl")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_other_data_under_humanevals_name_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    """A score on changed problems would be compared with everybody's: the checksum says no."""
    pytester.mkdir("data").joinpath("HumanEval.jsonl").write_text("{}\n", encoding="utf-8")
    samples = pytester.path / "answers.jsonl"
    samples.write_text(json.dumps({"task_id": "HumanEval/0", "completion": ""}) + "\n", encoding="utf-8")
    result = run("--qeval-completions", str(samples), "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*is not HumanEval: sha256*"])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"text": "", "code": ""', "*mbpp.jsonl, line 1: not JSON*Is the file truncated?"),
        ('{"text": "", "code": ""}', "*mbpp.jsonl, line 1: expected the text fields test_setup_code."),
    ],
)
def test_a_broken_benchmark_file_names_its_line(run: Run, pytester: pytest.Pytester, content: str, line: str) -> None:
    """Nothing is loaded and nothing fetched instead: the user meant this file."""
    pytester.mkdir("data").joinpath("mbpp.jsonl").write_text(content, encoding="utf-8")
    result = run("--qeval-model", "demo", "--qeval-suite", "mbpp", "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_suite_that_names_no_benchmark_is_refused(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """`case` without the marker is a mistake in the suite, said before anything is run."""
    pytester.makepyfile(test_mine="def test_mine(qeval, case): pass")
    result = run("--qeval-completions", str(samples), "test_mine.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*names no benchmark*@pytest.mark.qeval*"])
