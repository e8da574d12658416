"""Every mistake on the command line is answered by one sentence and exit status 4, before anything is loaded."""

import gzip
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
    "perturbation of no suite": (
        ["--qeval-model", "demo", "--qeval-suite", "micro", "--qeval-perturbation=tab_indent"],
        "*--qeval-perturbation is read by the suite robustness, and this run has micro: add --qeval-suite robustness*",
    ),
    "unreadable gate": (["--qeval-model", "demo", "--qeval-gate", "be good"], "*expected something like*"),
    "gate without baseline": (
        ["--qeval-model", "demo", "--qeval-baseline", "none", "--qeval-gate", "pass@1 drop <= 2pt"],
        "*this run has none. Add a recipe, such as --qeval-recipe int8*",
    ),
    "greedy samples": (["--qeval-model", "demo", "--qeval-samples", "5"], "*add --qeval-temperature*"),
    "negative limit": (["--qeval-model", "demo", "--qeval-limit=-1"], "*--qeval-limit expects*not '-1'*"),
    "no number": (["--qeval-model", "demo", "--qeval-timeout", "soon"], "*--qeval-timeout expects*not 'soon'*"),
    "endless": (["--qeval-model", "demo", "--qeval-timeout", "inf"], "*--qeval-timeout expects*not 'inf'*"),
    "negative temperature": (["--qeval-model", "demo", "--qeval-temperature=-1"], "*--qeval-temperature expects*"),
    "no probability": (["--qeval-model", "demo", "--qeval-top-p", "1.5"], "*--qeval-top-p expects*"),
    "unknown suite": (
        ["--qeval-model", "demo", "--qeval-suite", "humanevil"],
        "*no suite 'humanevil'. Did you mean 'humaneval'*",
    ),
    "unknown device": (
        ["--qeval-model", "demo", "--qeval-device", "gpu"],
        "*--qeval-device gpu*Expected auto, cpu, cuda*",
    ),
    "benchmark file": (
        ["--qeval-model", "demo", "--qeval-benchmark", "ours.jsonl"],
        "*expects a name, not the file 'ours.jsonl'*qeval_robustness*",
    ),
    "no samples file": (["--qeval-completions", "none.jsonl"], "*there is no file 'none.jsonl'*"),
    "no data folder": (["--qeval-model", "demo", "--qeval-data", "nodir"], "*there is no folder 'nodir'*"),
    "model and samples": (["--qeval-model", "demo", "--qeval-completions", "x"], "*exclude each other*"),
    "no model": (
        ["--qeval-gate", "pass@1 drop <= 2pt"],
        "*--qeval-gate without a model does nothing*add --qeval-model*",
    ),
    "empty model": (["--qeval-model=", "--qeval-recipe", "int8"], "*--qeval-model is empty*variable*"),
    "empty samples": (["--qeval-completions="], "*--qeval-completions is empty*"),
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
        (b"\xff\xfe\n", "*line 1: not UTF-8*"),
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


PROBLEM = {
    "task_id": "HumanEval/0",
    "prompt": "def f(n):\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    "canonical_solution": "    return n\n",
}
LINE = json.dumps(PROBLEM)
BROKEN_FILES: dict[str, tuple[str, str, str | bytes, str]] = {
    "humaneval torn": ("humaneval", "HumanEval.jsonl", f"{LINE}\n{LINE[:-9]}", "HumanEval.jsonl, line 2: not JSON"),
    "humaneval without a field": ("humaneval", "HumanEval.jsonl", "{}", "line 1: expected the text fields task_id"),
    "humaneval of others": ("humaneval", "HumanEval.jsonl", LINE, "HumanEval.jsonl is not HumanEval: sha256"),
    "humaneval without check": (
        "humaneval",
        "HumanEval.jsonl",
        json.dumps(PROBLEM | {"test": "assert True"}),
        "line 1 (HumanEval/0): test defines no function check(candidate).",
    ),
    "a torn archive": (
        "humaneval",
        "HumanEval.jsonl.gz",
        gzip.compress(LINE.encode())[:-9],
        "Is the archive complete?",
    ),
    "no UTF-8": ("mbpp", "mbpp.jsonl", b"\xff", "mbpp.jsonl, line 1: not UTF-8"),
    "mbpp torn": ("mbpp", "mbpp.jsonl", '{"text": "", "code": ""', "mbpp.jsonl, line 1: not JSON"),
    "mbpp of a wrong type": (
        "mbpp",
        "mbpp.jsonl",
        '{"task_id": 3}',
        "line 1 (task id 3): expected the text fields text",
    ),
    "mbpp empty": ("mbpp", "mbpp.jsonl", "", "mbpp.jsonl holds no problems."),
    "sanitized mbpp": ("mbpp-sanitized", "sanitized-mbpp.json", "[1]", "sanitized-mbpp.json, entry 1: expected a JSON"),
    "mbpp-plus": ("mbpp-plus", "MbppPlus.jsonl", '{"task_id": "Mbpp/2"}', "line 1 (Mbpp/2): expected the text fields"),
}


@pytest.mark.parametrize("broken", BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
def test_a_broken_benchmark_file_is_one_sentence(
    run: Run, pytester: pytest.Pytester, broken: tuple[str, str, str | bytes, str]
) -> None:
    """Nothing is loaded and nothing fetched instead: the user meant this file. A checksum protects comparisons."""
    _check_refusal(run, pytester, broken, ("-p", "no:xdist"))


@pytest.mark.parametrize("which", ["humaneval torn", "mbpp empty"])
def test_workers_refuse_a_broken_file_the_same_way(run: Run, pytester: pytest.Pytester, which: str) -> None:
    """Where the controller reads nothing, its exit status is that of the workers' mistake."""
    _check_refusal(run, pytester, BROKEN_FILES[which], ("-n2",))


def _check_refusal(
    run: Run, pytester: pytest.Pytester, broken: tuple[str, str, str | bytes, str], mode: tuple[str, ...]
) -> None:
    suite, name, content, sentence = broken
    pytester.mkdir("data").joinpath(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run(*mode, "--qeval-model", "demo", "--qeval-suite", suite, "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = f"{result.stdout}\n{result.stderr}"
    assert sentence in said
    assert "Traceback" not in said
    assert not (pytester.path / ".qeval").exists()


def test_a_suite_that_names_no_benchmark_is_refused(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """`case` without the marker is a mistake in the suite, said before anything is run."""
    pytester.makepyfile(test_mine="def test_mine(qeval, case): pass")
    result = run("--qeval-completions", str(samples), "test_mine.py")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*names no benchmark*@pytest.mark.qeval*"])
