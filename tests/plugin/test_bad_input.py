"""Mistakes end a session with one sentence and exit status 4; tests/unit/config has the tables of them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin.runs import REPLAY, check_refusal, write_samples

Run = Callable[..., pytest.RunResult]


def test_a_mistake_is_one_sentence(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Exit status 4, the sentence, no traceback, and no folder of reports."""
    result = run(*mode, "--qeval-model=demo", "--qeval-recipe", "itn8")

    check_refusal(result, "ERROR: there is no recipe 'itn8'. Did you mean 'int8'*Available:*")
    assert not (pytester.path / ".qeval").exists()


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_broken_benchmark_file_is_one_sentence(run: Run, pytester: pytest.Pytester, mode: tuple[str, ...]) -> None:
    """Nothing is fetched instead: the user meant this file. Workers read it, and the controller refuses it."""
    pytester.mkdir("data").joinpath("HumanEval.jsonl.gz").write_bytes(gzip.compress(b'{"task_id":')[:-9])
    result = run(*mode, "--qeval-selftest", "--qeval-suite", "humaneval", "--qeval-data", "data")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    output = f"{result.stdout}\n{result.stderr}"
    assert "Is the archive complete?" in output
    assert "Traceback" not in output
    assert not (pytester.path / ".qeval").exists()


def test_a_suite_that_names_no_benchmark_is_refused(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """`case` without the marker is a mistake in the suite."""
    pytester.makepyfile(test_mine="def test_mine(qeval, case): pass")
    result = run(*REPLAY, str(samples), "test_mine.py")

    check_refusal(result, "*names no benchmark*@pytest.mark.qeval*")


def test_a_gate_about_another_benchmark_is_refused(run: Run, samples: Path) -> None:
    """The benchmarks of a run are known once it has collected its tests."""
    result = run(*REPLAY, str(samples), "--qeval-gate", "humaneval:pass@1 >= 0.1")

    check_refusal(result, "*is about the benchmark 'humaneval', which is no benchmark of this run*micro*")


def test_completions_of_no_known_problem_are_refused(run: Run, pytester: pytest.Pytester) -> None:
    """The task ids choose the suite; humaneval is the one that is left."""
    file = write_samples(pytester.path / "bad.jsonl", [{"task_id": "other/1", "completion": ""}])

    check_refusal(run("--qeval-completions", file), "*holds no completion of a humaneval problem*")


def test_json_that_is_no_completion_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    """The sentence names file and line on stderr, as pytest does with usage errors."""
    pytester.path.joinpath("bad.jsonl").write_text(json.dumps({"task_id": "micro/0"}), encoding="utf-8")

    check_refusal(run("--qeval-completions", "bad.jsonl"), "ERROR: *bad.jsonl, line 1*task_id and either completion*")
