"""Memory: predicted without a model, held to a budget, and measured in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.demo import MODEL_DIR
from tests.plugin.runs import check_refusal, read_report

Run = Callable[..., pytest.RunResult]

FIT = ("--qeval-fit", "--qeval-recipe", "int8", "--qeval-recipe", "fp32")


@pytest.fixture
def config(pytester: pytest.Pytester) -> str:
    """Write the embedded model's config, without its weights, and return the name of the file."""
    text = (MODEL_DIR / "config.json").read_text(encoding="utf-8")
    (pytester.path / "small.json").write_text(text, encoding="utf-8")
    return "small.json"


def test_a_config_alone_is_enough_to_say_what_fits(run_afresh: Run, config: str) -> None:
    """Status 0 where all recipes fit, and 1 where one does not; torch is not needed."""
    result = run_afresh(*FIT, "--qeval-model", config, "--qeval-ram-budget", "2GB")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "small.json: 0.0* billion parameters, by config.json",
            "budget: 2.00 GB (--qeval-ram-budget); all numbers are estimated",
            "memory * int8 * fp32",
            "  key/value cache, per token * kB * kB",
            "  int8: fits, * to spare (peak * GB, * × 512 tokens); longest context at batch 1: 512",
        ]
    )


def test_what_does_not_fit_has_status_1(run_afresh: Run, config: str) -> None:
    """With by how much."""
    result = run_afresh(*FIT, "--qeval-model", config, "--qeval-ram-budget", "100MB")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["  int8: does not fit: * MB too much (peak *); no context fits"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "*--qeval-fit needs a model: add --qeval-model*"),
        (("--qeval-model", "demo", "--qeval-gate", "fits 1GB"), "*runs nothing: leave --qeval-gate out*"),
        (("--qeval-model", "demo", "--qeval-ram-budget", "16"), "*expects a size with its unit, such as 16GB*'16'*"),
        (("--qeval-model", "./nowhere"), "*there is no model at nowhere*"),
        (("--qeval-model", "demo", "--qeval-recipe", "itn8"), "*Did you mean 'int8'*"),
    ],
    ids=["no model", "gate", "no unit", "nowhere", "unknown recipe"],
)
def test_mistakes_have_status_4(run_afresh: Run, arguments: tuple[str, ...], sentence: str) -> None:
    check_refusal(run_afresh("--qeval-fit", *arguments), sentence)


def test_a_run_beyond_its_budget_is_refused_before_loading(run: Run) -> None:
    """By the prediction, with by how much and what to do."""
    result = run("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-ram-budget", "300MB")
    check_refusal(
        result, "*auto does not fit in --qeval-ram-budget: loading * by prediction, * more than the 300 MB. Raise *"
    )


def test_a_gate_on_files_needs_an_export(run: Run) -> None:
    result = run("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-gate", "disk <= 1GB")
    check_refusal(result, "*the gate 'disk <= 1GB' is about the files of an exported checkpoint: add --qeval-export*")


def test_memory_is_measured_and_judged(run: Run, pytester: pytest.Pytester) -> None:
    """In a fresh process, beside its prediction; the budget and a gate are about its peak."""
    result = run(
        *("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-baseline", "none"),
        *("--qeval-suite", "memory", "--qeval-batch-size", "2", "--qeval-ram-budget", "3GB"),
        *("--qeval-gate", "fits 2GB", "--qeval-gate", "peak memory <= 10MB", "--qeval-output", "out"),
    )
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "memory, in a fresh process * int8",
            "  key/value cache * MB, by formula * MB",
            "  peak while quantizing * MB (*",
            "  int8: budget 3.00 GB: fits, 2.* GB to spare; peak predicted * MB, measured * MB (fresh process)",
            "  PASS  fits 2GB  (int8): observed * MB; unproven",
            "  FAIL  peak memory <= 10MB  (int8): observed * MB, required <= 10.0 MB; unproven",
        ]
    )
    found = read_report(Path(pytester.path / "out"))["memory"]["int8"]
    measured = found["measured"]
    assert found["fits"] is True
    assert found["peak_bytes"] >= measured["decoding"]["peak_bytes"] > measured["runtime_bytes"] > 0
    assert measured["cache_bytes"] == found["predicted"]["cache_bytes"]
    assert measured["model_bytes"] - found["predicted"]["model_bytes"] in range(4096)  # rotary frequencies
