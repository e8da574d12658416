"""Gates on memory and files: how they are written, and what they observe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.errors import GateError
from pytest_qeval.schema import Undefined
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from pytest_qeval.verdict.gates.grammar import parse_gate
from pytest_qeval.verdict.gates.judge import judge
from tests.unit.summary.builders import memory, session


@pytest.mark.parametrize(
    ("expression", "metric", "threshold"),
    [
        ("peak memory <= 6GB", "peak_memory", 6e9),
        ("peak_memory <= 6 GiB", "peak_memory", 6 * 2**30),
        ("peak_memory <= 9000", "peak_memory", 9000),
        ("fits 16GB", "fits", 16e9),
        ("fits <= 1.5gib", "fits", 1.5 * 2**30),
        ("model bytes < 500MB", "model_bytes", 500e6),
        ("disk <= 400 MiB", "disk", 400 * 2**20),
        ("peak memory ratio <= 0.6", "peak_memory", 0.6),
    ],
)
def test_sizes_have_units(expression: str, metric: str, threshold: float) -> None:
    """GB is 10^9 bytes, GiB is 2^30; a ratio has none."""
    gate = parse_gate(expression)
    assert (gate.metric, gate.threshold, gate.expression) == (metric, threshold, expression)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("peak memory <= 6pt", "'pt' is no unit of peak_memory; expected GB, GiB, MB or MiB"),
        ("peak memory <= 6xB", "'xB' is no unit of peak_memory"),
        ("peak memory ratio <= 6GB", "leave the unit 'GB' out"),
        ("pass@1 >= 6GB", "leave the unit 'GB' out"),
        ("fits ratio <= 2", "'ratio' does not apply to fits"),
    ],
)
def test_other_units_are_refused(expression: str, sentence: str) -> None:
    with pytest.raises(GateError, match=sentence):
        parse_gate(expression)


def judged(expression: str, found: SummaryInput) -> GateResult:
    (result,) = judge([parse_gate(expression)], summarize(found), require_proof=False)
    return result


def test_the_peak_of_a_fresh_process_counts_first() -> None:
    """The run's own process has seen other recipes."""
    found = replace(session("++", "++"), memory={"int8": memory(peak_bytes=1_800_000_000)})
    assert judged("fits 2GB", found).reason == "observed 1.80 GB"
    assert judged("fits 1.7GB", found).reason == "observed 1.80 GB, required <= 1.70 GB"


def test_a_fresh_process_is_enough() -> None:
    """The suite `memory` alone loads nothing in the run's process."""
    found = replace(session("", "", planned=0), recipes={}, generation=(), memory={"int8": memory()})
    assert judged("peak memory <= 2GB", found).outcome == "pass"


def test_a_fresh_process_is_not_compared_with_the_run() -> None:
    found = replace(session("++", "++"), memory={"int8": memory()})
    observed = judged("peak memory ratio <= 9", found).observed
    assert isinstance(observed, Undefined)
    assert "add --qeval-suite memory" in observed.reason
    both = replace(found, memory={"int8": memory(), "auto": memory("auto", peak_bytes=3_600_000_000)})
    assert judged("peak memory ratio <= 0.6", both).reason == "observed 0.5"


def test_a_simulated_peak_is_refused() -> None:
    found = replace(session("++", "++"), memory={"int8": memory(simulated=True)})
    assert judged("fits 16GB", found).reason == "simulated: its peak_memory is not the recipe's"


def test_without_an_export_there_is_no_size_on_disk() -> None:
    """Which is known before anything is loaded, too."""
    assert judged("disk <= 1GB", session("++", "++")).reason == (
        "nothing was exported of int8: it takes a run with --qeval-export DIR"
    )
