"""A worker of pytest-xdist that dies takes nothing with it: another runs what it had not finished, once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, read_journal, read_records
from tests.sandboxes import accept_weakest

Run = Callable[..., pytest.RunResult]

KILLED = """
import os, pathlib, signal

def pytest_runtest_setup(item):
    times = pathlib.Path(r"{folder}") / "times"
    if item.nodeid.endswith({case!r}) and hasattr(item.config, "workerinput"):
        with times.open("a") as file:
            file.write("x")
        if times.stat().st_size <= {most}:
            os.kill(os.getpid(), signal.{signal})
"""
KILLER = ("-p", "killer")
SSH = """#!/bin/sh
for last; do :; done
cd "{folder}" && exec env TMPDIR="{folder}/tmp" sh -c "$last"
"""
CASE = ("task_id", "perturbation", "seed")
ROBUST = (
    *("--qeval-model", "demo", "--qeval-suite", "micro", "--qeval-suite", "robustness", "--qeval-limit", "4"),
    *("--qeval-recipe", "int8", "--qeval-recipe", "int4", "--qeval-recipe", "w4a16", "--qeval-recipe", "w2a16"),
    *("--qeval-perturbation", "name_camel_case", "--qeval-baseline", "run"),
)


def kill_at(pytester: pytest.Pytester, case: str, *, times: int, by: str = "SIGKILL") -> None:
    """Let a worker with the plugin `killer` kill itself before it runs a case, so many times."""
    pytester.makepyfile(killer=KILLED.format(folder=pytester.path, case=case, most=times, signal=by))


def without_times(value: Any) -> Any:
    """Return what a record says of the case, and nothing of how long it took, and where."""
    if isinstance(value, list):
        return [without_times(one) for one in value]
    if isinstance(value, dict):
        return {name: without_times(one) for name, one in value.items() if name != "worker" and name[-2:] != "_s"}
    return value


def outcomes(folder: Path) -> dict[tuple[Any, ...], Json]:
    """Return all records of a run by recipe and case."""
    records = read_records(folder)
    found = {tuple(one[name] for name in ("recipe", *CASE)): without_times(one) for one in records}
    assert len(found) == len(records)  # nothing was judged twice
    return found


@pytest.mark.parametrize("by", ["SIGKILL", "SIGTERM"])
def test_a_worker_that_is_killed_loses_nothing(run: Run, pytester: pytest.Pytester, samples: Path, by: str) -> None:
    """The folder that workers share stays with those that are left."""
    plain = run("-p", "no:xdist", *REPLAY, str(samples), "--qeval-output", "plain")
    assert plain.ret == pytest.ExitCode.OK
    kill_at(pytester, "micro/2", times=1, by=by)

    result = run("-n2", *KILLER, *REPLAY, str(samples), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["replacing crashed worker *"])
    assert (pytester.path / "times").read_text() == "xx"
    assert outcomes(pytester.path / "out") == outcomes(pytester.path / "plain")
    assert "missing" not in result.stdout.str()


def test_a_case_that_kills_every_worker_is_missing(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A second worker that dies at it is taken for the case's fault; the others are run."""
    kill_at(pytester, "micro/2", times=99)

    result = run("-n2", *KILLER, *REPLAY, str(samples), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert (pytester.path / "times").read_text() == "xx"
    result.stdout.fnmatch_lines(["*worker * crashed while running *micro/2*"])
    assert len(outcomes(pytester.path / "out")) == 7
    result.stdout.fnmatch_lines(["* (1 missing!)*"])


def test_without_replacements_the_cases_of_a_lost_worker_are_missing(
    run: Run, pytester: pytest.Pytester, samples: Path
) -> None:
    kill_at(pytester, "micro/2", times=1)

    result = run("-n2", *KILLER, "--max-worker-restart=0", *REPLAY, str(samples), "--qeval-output", "out")

    assert result.ret not in {pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR}
    n_run = len(outcomes(pytester.path / "out"))
    assert n_run < 8
    result.stdout.fnmatch_lines([f"* ({8 - n_run} missing!)*"])


def test_recipes_have_the_same_records_however_they_are_distributed(run: Run, pytester: pytest.Pytester) -> None:
    """Four recipes and perturbed problems, in one process, in two, in four, and in two of which one is killed."""
    given = (*ROBUST, "--qeval-output")
    plain = run("-p", "no:xdist", *given, "plain")
    assert plain.ret == pytest.ExitCode.OK, plain.stdout.str() + plain.stderr.str()
    expected = outcomes(pytester.path / "plain")
    assert {recipe for recipe, *_ in expected} == {"auto", "int8", "int4", "w4a16", "w2a16"}
    assert {perturbation for *_, perturbation, _ in expected} >= {None, "name_camel_case"}

    for n_workers in ("2", "4"):
        run(f"-n{n_workers}", *given, n_workers)
        assert outcomes(pytester.path / n_workers) == expected

    kill_at(pytester, "int8-micro/2", times=1)
    result = run("-n2", *KILLER, *given, "killed")
    result.stdout.fnmatch_lines(["replacing crashed worker *"])
    assert (pytester.path / "times").read_text() == "xx"
    assert outcomes(pytester.path / "killed") == expected
    assert [row["type"] for row in read_journal(pytester.path / "killed")].count("plan") == 1


def test_workers_elsewhere_need_no_folder_in_common(
    run: Run, pytester: pytest.Pytester, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are started by an `ssh` that stays on this machine, in another folder and with other temporary files."""
    elsewhere, programs = pytester.mkdir("elsewhere"), pytester.mkdir("programs")
    (elsewhere / "tmp").mkdir()
    ssh = programs / "ssh"
    ssh.write_text(SSH.format(folder=elsewhere), encoding="utf-8")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    plain = run(
        "-p", "no:xdist", *REPLAY, str(samples), "--qeval-output", "plain", "--qeval-save-baseline=saved.json.gz"
    )
    assert plain.ret == pytest.ExitCode.OK

    result = run_elsewhere(pytester, *REPLAY[:-1], f"--qeval-completions={samples}", "--qeval-baseline=saved.json.gz")

    assert result.ret == pytest.ExitCode.OK, result.stdout.str() + result.stderr.str()
    assert outcomes(pytester.path / "out").items() >= outcomes(pytester.path / "plain").items()
    assert [path.name for path in (elsewhere / "tmp").iterdir() if path.name.startswith("qeval-")] == []


def run_elsewhere(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run with two workers of another machine."""
    workers = ("--dist=load", f"--tx=2*ssh=elsewhere//python={sys.executable}")
    return pytester.runpytest_subprocess(*workers, *accept_weakest(arguments), "--qeval-output=out", timeout=240)
