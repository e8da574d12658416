"""A run that was cut short goes on, and ends as if it had never been."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import resume_soak
from tests.plugin.runs import REPLAY, check_refusal, read_journal, read_records, read_report, write_samples
from tests.plugin.test_stopping import family
from tests.sandboxes import accept_weakest
from tests.warm import WITHOUT

Run = Callable[..., pytest.RunResult]
Warm = Callable[[Sequence[str]], list[str]]

pytestmark = pytest.mark.timeout(600)

GATE = ("--qeval-gate", "pass@1 >= 0.5")
INTERRUPTING = """
import pytest

def pytest_runtest_call(item):
    if item.name.endswith("micro/3]"):
        raise KeyboardInterrupt
"""
SLOW = (*REPLAY, "slow.jsonl", "--qeval-timeout", "60", "--qeval-output", "out")
CLEAN = "def pytest_configure(): pass\n"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let started processes receive Ctrl-C, also where a shell has started these tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def cut(folder: Path, n_records: int) -> None:
    """Leave so many records of a run, and a part of the next line; its reports are those of nobody."""
    kept, found = [], 0
    for line in (folder / "records.jsonl").read_bytes().splitlines(keepends=True):
        found += json.loads(line)["type"] == "record"
        if found > n_records:
            kept.append(line[:40])
            break
        kept.append(line)
    (folder / "records.jsonl").write_bytes(b"".join(kept))
    for path in folder.iterdir():
        if path.name != "records.jsonl":
            path.unlink()


def check_same(folder: Path, reference: Path) -> None:
    read_report(folder)  # which is valid
    assert list(resume_soak.differences(folder, reference)) == []


def test_a_replay_goes_on_in_every_mode(
    run: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]
) -> None:
    """`.qeval/latest` makes it one word; what was done is not done again, and shows as it did."""
    whole = run(*mode, *REPLAY, str(samples), *GATE)
    folder = (pytester.path / ".qeval" / "latest").resolve()
    reference = pytester.path / "reference"
    shutil.copytree(folder, reference)
    cut(folder, 5)
    result = run(*mode, *REPLAY, str(samples), *GATE, "--qeval-resume")

    assert (whole.ret, result.ret) == (0, 0)
    result.stdout.fnmatch_lines(["*goes on with the run of *, which has 5 records", "*6 passed, 2 unsolved*"])
    check_same(folder, reference)
    assert len(read_records(folder)) == 8
    assert read_journal(folder)[0] == read_journal(reference)[0]
    (part,) = read_report(folder)["run"]["resumed"]
    assert (part["records"], part["cut"]) == (5, ["replay"])


@pytest.mark.parametrize("n_records", [2, 20])
def test_a_model_goes_on_with_recipes_control_and_perturbations(
    run: Run, pytester: pytest.Pytester, n_records: int
) -> None:
    """Byte for byte apart from times: the cut is in the baseline, or in a candidate."""
    asked = (
        *("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-recipe", "w4a16-g64", "--qeval-baseline", "run"),
        *("--qeval-control", "--qeval-suite", "micro", "--qeval-suite", "robustness", "--qeval-limit", "3"),
        *("--qeval-perturbation", "butter_fingers", "--qeval-max-new-tokens", "16", "--qeval-output", "out"),
        *("--qeval-samples", "2", "--qeval-temperature", "0.8"),
    )
    run(*asked)
    folder, reference = pytester.path / "out", pytester.path / "reference"
    shutil.copytree(folder, reference)
    cut(folder, n_records)
    result = run(*asked, "--qeval-resume")

    assert result.ret == 0
    check_same(folder, reference)


def test_a_run_with_a_saved_baseline_goes_on(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Its records are in the journal already, and count as saved ones again."""
    run(*REPLAY, str(samples), "--qeval-save-baseline", "b.json.gz")
    asked = (*REPLAY, str(samples), "--qeval-baseline", "b.json.gz", "--qeval-output", "out")
    run(*asked)
    folder, reference = pytester.path / "out", pytester.path / "reference"
    shutil.copytree(folder, reference)
    for n_records in (3, 11):  # of the baseline, and of the candidate
        cut(folder, n_records)
        result = run(*asked, "--qeval-resume")
        result.stdout.fnmatch_lines(["*8 of the 8 records of replay (saved) are the saved ones*"])
        check_same(folder, reference)
        assert len(read_records(folder)) == 16


def test_another_run_is_refused(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """By what differs: an option, the completions, and what is selected; and a finished one."""
    asked = (*REPLAY, str(samples), "--qeval-output", "out")
    run(*asked)
    check_refusal(run(*asked, "--qeval-resume"), "*the run in */out is finished*--qeval-render*")
    cut(pytester.path / "out", 5)
    before = (pytester.path / "out" / "records.jsonl").read_bytes()
    check_refusal(run(*asked, "--qeval-timeout", "9", "--qeval-resume"), "*execution.timeout_s: 9.0 here, 5.0 in that*")
    refused = run(*asked, "-k", "not 7", "--qeval-resume")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*1 case not in this run, such as micro/7 under replay*"])
    write_samples(samples, [{"task_id": "micro/0", "completion": "    pass\n"}])
    check_refusal(run(*asked, "--qeval-resume"), "*completions: * here, * in that run*")
    assert (pytester.path / "out" / "records.jsonl").read_bytes() == before


def test_a_run_that_was_killed_before_its_plan_begins_anew(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """There is nothing to take over."""
    asked = (*REPLAY, str(samples), "--qeval-output", "out")
    run(*asked)
    journal = pytester.path / "out" / "records.jsonl"
    journal.write_bytes(journal.read_bytes()[:300])
    assert run(*asked, "--qeval-resume").ret == 0
    assert read_report(pytester.path / "out")["run"]["resumed"] == []


def test_an_interrupted_run_is_not_judged(run_afresh: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Neither pass nor fail, in every report; the last line goes on.

    In a process of its own: pytester takes an interruption of one in this process for that of the tests.
    """
    pytester.makeconftest(INTERRUPTING)
    pytester.makepyfile(
        test_mine="""
        import pytest
        @pytest.mark.qeval("micro")
        def test_mine(qeval, case):
            qeval(case)
    """
    )
    asked = (*REPLAY, str(samples), *GATE, "--qeval-output", "out", "test_mine.py")
    result = run_afresh(*asked, "--junitxml", "junit.xml")
    folder = pytester.path / "out"

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*verdict: interrupted, 3 of 8 cases finished, and no gate is judged", "go on with: pytest * --qeval-resume"]
    )
    result.stdout.no_fnmatch_line("*FAIL*")
    report = read_report(folder)
    assert (report["verdict"], report["gates"]) == ("interrupted", [])
    assert "Interrupted before it was judged" in (folder / "summary.md").read_text(encoding="utf-8")
    assert "Interrupted before it was judged" in (folder / "report.html").read_text(encoding="utf-8")
    properties = ET.parse(pytester.path / "junit.xml").iter("property")  # noqa: S314 - our own
    assert {one.get("name"): one.get("value") for one in properties}["qeval.verdict"] == "interrupted"
    assert run_afresh("--qeval-render", "out").ret == pytest.ExitCode.INTERRUPTED

    pytester.makeconftest(CLEAN)
    assert run_afresh(*asked, "--qeval-resume").ret == 0
    assert read_report(folder)["verdict"] == "pass"


def _start(pytester: pytest.Pytester, command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a run whose programs sleep."""
    rows = ({"task_id": f"micro/{n}", "completion": "    import time\n    time.sleep(60)\n"} for n in range(8))
    write_samples(pytester.path / "slow.jsonl", rows)
    return subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=os.setpgrp,  # noqa: PLW1509
        env={**os.environ, "TMPDIR": str(pytester.mkdir("temporary"))},
    )  # fmt: skip


def _wait_for_programs(process: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    while not (folder / "records.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    return list(family(process.pid))


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("mode", [(), ("-n2",)], ids=["alone", "-n2"])
def test_a_second_ctrl_c_ends_at_once(pytester: pytest.Pytester, warm_pytest: Warm, mode: tuple[str, ...]) -> None:
    """Quietly, with status 2, and with nothing left: no process and no folder."""
    process = _start(pytester, warm_pytest([*mode, *accept_weakest(SLOW)]))
    children = _wait_for_programs(process, pytester.path / "out")
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in output
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert [path.name for path in (pytester.path / "temporary").iterdir() if path.name.startswith("qeval")] == []


@pytest.mark.usefixtures("ctrl_c")
def test_sigterm_writes_a_report(pytester: pytest.Pytester) -> None:
    """As a CI system ends a job that takes too long."""
    process = _start(pytester, [sys.executable, "-m", "pytest", *WITHOUT, *accept_weakest(SLOW)])
    _wait_for_programs(process, pytester.path / "out")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "verdict: interrupted, 0 of 8 cases finished" in output
    assert read_report(pytester.path / "out")["verdict"] == "interrupted"


def test_killed_at_random_moments_it_ends_the_same(
    pytester: pytest.Pytester, warm_pytest: Warm, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few of the runs that `benchmarks/resume_soak.py` makes by hundreds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / ".cache"))
    command = warm_pytest(accept_weakest([*REPLAY, str(samples)]))
    reference = pytester.path / "reference"
    subprocess.run([*command, f"--qeval-output={reference}"], check=True, stdout=subprocess.DEVNULL)
    draw: Any = random.Random(4)  # noqa: S311 - chance, not security
    for number in range(10):
        _, found = resume_soak.soak(resume_soak.spawn, command, pytester.path / f"run-{number}", reference, draw)
        assert found == []
