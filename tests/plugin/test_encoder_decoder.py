"""A model with an encoder from the command line to the report."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest

from pytest_qeval.report.json import SCHEMA_PATH
from tests.unit.tiny_seq2seq import save_tiny

Run = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.timeout(600)


def test_a_tiny_t5_is_evaluated_beside_its_baseline(run: Run, pytester: pytest.Pytester) -> None:
    """Solved or not, every case is asked, costs are measured, and the report says what the model is."""
    save_tiny("codet5", pytester.path / "t5")
    suites = ("--qeval-suite", "micro", "--qeval-suite", "efficiency", "--qeval-suite", "divergence")
    recipe = ("--qeval-recipe", "int8", "--qeval-threads", "1", "--qeval-max-new-tokens", "16")
    result = run("--qeval-model", "t5", *recipe, *suites, "--qeval-limit", "3", "--qeval-output", "out")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*t5 (encoder-decoder) · transformers on cpu*"])
    report = json.loads((pytester.path / "out" / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    assert report["run"]["missing"] == 0
    assert report["run"]["generation"]["prompt_style"] == "source"
    assert {facts["architecture"] for facts in report["recipes"].values()} == {"encoder-decoder"}
    assert {facts["decoding"] for facts in report["recipes"].values()} == {"continuous batch"}
    assert report["efficiency"]["int8"]["prefill"]
    assert report["divergence"]["int8"]["tokens"] > 0


def test_a_cached_baseline_stands_in_for_the_same_batches_only(run: Run, pytester: pytest.Pytester) -> None:
    """Its completions depend on the batch: other cases, or another order, are run again, and the larger run is kept."""
    save_tiny("codet5", pytester.path / "t5")
    options = ("--qeval-suite", "micro", "--qeval-max-new-tokens", "4", "--qeval-output", "out")
    run("--qeval-model", "t5", "--qeval-recipe", "int8", *options, "--qeval-limit", "3")

    for limit, reused in ((3, 3), (2, 0), (3, 3)):
        result = run("--qeval-model", "t5", "--qeval-recipe", "int8", *options, "--qeval-limit", str(limit))
        result.stdout.fnmatch_lines([f"qeval: {reused} of the {limit} records of auto are the saved ones"])
        assert result.ret == pytest.ExitCode.OK
