"""Which suites a run has: those that are named, and of `all` those whose data can be had."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.plugin.runs import check_refusal, write_samples

Run = Callable[..., pytest.RunResult]


@pytest.fixture(autouse=True)
def no_hub(pytester: pytest.Pytester) -> None:
    """Let the hub's package be absent."""
    pytester.makeconftest("import sys; sys.modules['datasets'] = None")


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
def test_all_leaves_out_what_cannot_be_had(run: Run, mode: tuple[str, ...]) -> None:
    """Nobody asked for MBPP by name: the header says that it is left out, and why.

    The suite robustness adds to the problem itself its half-given form and eight perturbed ones.
    """
    result = run(*mode, "--qeval-selftest", "--qeval-suite", "all", "--qeval-limit", "1")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["qeval: left out: mbpp (MBPP's problems are not on this machine: point --qeval-data*)"]
    )
    result.stdout.fnmatch_lines(["self-test: humaneval: 10 of 10 references pass, 30 of 30 broken bodies fail"])
    result.stdout.no_fnmatch_line("self-test: mbpp:*")


def test_all_leaves_out_what_cannot_be_scored(run: Run, pytester: pytest.Pytester) -> None:
    """Whoever has not installed what scores sentences can still run everything else."""
    pytester.makeconftest("import sys; sys.modules.update(datasets=None, sacrebleu=None)")
    result = run("--qeval-selftest", "--qeval-suite", "all", "--qeval-limit", "1", "--collect-only", "-q")
    named = run("--qeval-selftest", "--qeval-suite", "summarization")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*summarization*")
    assert named.ret == pytest.ExitCode.USAGE_ERROR
    named.stderr.fnmatch_lines(["*needs the package 'sacrebleu': pip install 'pytest-qeval?summarization?'"])


@pytest.mark.parametrize("mode", [("-p", "no:xdist"), ("-n2",)], ids=["no-xdist", "n2"])
@pytest.mark.parametrize("arguments", [("mbpp",), ("micro", "--qeval-suite", "mbpp-sanitized")])
def test_what_is_named_has_to_be_there(run: Run, mode: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    """One sentence with the remedy, exit status 4."""
    result = run(*mode, "--qeval-selftest", "--qeval-suite", *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (result.stdout if mode == ("-n2",) else result.stderr).fnmatch_lines(["*MBPP's problems are not on this machine*"])


def test_a_divergence_from_nothing_is_skipped(run: Run, pytester: pytest.Pytester) -> None:
    """Beside other suites: alone it is refused."""
    pytester.makepyfile("def test_it(qeval): qeval.measure_divergence()")
    result = run("--qeval-model", "demo", "-rs", "test_a_divergence_from_nothing_is_skipped.py")

    result.stdout.fnmatch_lines(["SKIPPED * there is no baseline to compare with"])


def test_samples_of_mbpp_are_not_taken_for_humanevals(run: Run, pytester: pytest.Pytester) -> None:
    """The task ids choose the suite."""
    file = write_samples(pytester.path / "completions.jsonl", [{"task_id": "MBPP/11", "completion": ""}])

    check_refusal(run("--qeval-completions", file), "*MBPP's problems are not on this machine: point --qeval-data*")
