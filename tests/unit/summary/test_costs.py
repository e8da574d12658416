"""What recipes cost: who is slower, and which numbers are a simulation's."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.facts import StreamFacts
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.schema import Record
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import HEADER, generation, session, simulating

STREAM = "single stream 20.0 ms per token against 10.0"
BATCH = "batch 50 tokens/s against 100"


@pytest.fixture
def material() -> SummaryInput:
    return session("++++----", "+++-+--t")


def timed(
    material: SummaryInput, *, stream: tuple[float, float], batch: tuple[float, float], tokens: int
) -> SummaryInput:
    """Return each of baseline and candidate a single stream in seconds per token, and a batch in tokens per second."""

    def facts(recipe: str, seconds: float) -> StreamFacts:
        times = (seconds, seconds)
        return StreamFacts(recipe=recipe, prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=times)

    names = ("auto", "int8")
    return replace(
        material,
        generation=[
            generation(name, tokens=tokens, busy_s=tokens / rate, energy_wh=None)
            for name, rate in zip(names, batch, strict=True)
        ],
        streams=[facts(name, seconds) for name, seconds in zip(names, stream, strict=True)],
    )


@pytest.mark.parametrize(
    ("stream", "batch", "tokens", "said"),
    [
        (
            (0.01, 0.02),
            (100.0, 50.0),
            200,
            f"no speed-up on this device, slower than auto: {STREAM}; {BATCH}",
        ),
        ((0.01, 0.02), (100.0, 150.0), 200, f"slower than auto: {STREAM}"),
        ((0.01, 0.005), (100.0, 50.0), 200, f"slower than auto: {BATCH}"),
        ((0.01, 0.02), (100.0, 50.0), 199, f"slower than auto: {STREAM}"),
        ((0.01, 0.005), (100.0, 50.0), 199, ""),
        ((0.01, 0.0102), (100.0, 98.0), 200, ""),
        ((0.01, 0.005), (100.0, 150.0), 200, ""),
    ],
    ids=["both", "stream", "batch", "short batch beside a slow stream", "short batch", "within 3 %", "faster"],
)
def test_a_native_recipe_says_where_it_is_slower(
    material: SummaryInput, stream: tuple[float, float], batch: tuple[float, float], tokens: int, said: str
) -> None:
    """No speed-up is claimed of a recipe that is slower both ways only."""
    summary = summarize(timed(material, stream=stream, batch=batch, tokens=tokens))
    shown = [line.text for line in lines(summary, (), output=Path())]

    assert summary.efficiency["int8"].slower == said
    assert report_dict(summary, ())["efficiency"]["int8"]["slower"] == said
    assert [text for text in shown if "slower" in text] == ([f"  int8: {said}"] if said else [])


@pytest.mark.parametrize("recipe", ["auto", "int8"])
def test_a_simulated_recipe_is_neither_slower_nor_faster(material: SummaryInput, recipe: str) -> None:
    """Its speed is that of floating point, whichever of the two it is."""
    slow = simulating(timed(material, stream=(0.01, 0.02), batch=(100.0, 50.0), tokens=200), recipe)

    assert summarize(slow).efficiency["int8"].slower == ""


def test_simulated_numbers_are_marked_in_the_report(material: SummaryInput) -> None:
    """A machine can tell them from a recipe's own."""
    report = report_dict(summarize(simulating(material, "int8")), ())

    assert {name: costs["simulated"] for name, costs in report["efficiency"].items()} == {"auto": False, "int8": True}
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_a_simulated_recipe_shows_its_packed_size(material: SummaryInput) -> None:
    """Its speed is in parentheses and its size is not, as the legend says."""
    text = [line.text for line in lines(summarize(simulating(material, "int8")), (), output=Path())]

    def cells(label: str) -> list[str]:
        return next(line for line in text if line.startswith(f"  {label}")).removeprefix(f"  {label}").split()

    assert cells("throughput, tokens/s") == ["50", "(100)"]
    assert cells("model in memory") == ["4", "kB", "1.5", "kB", "packed"]
    assert cells("peak memory of the process") == ["5", "kB", "(5", "kB)"]
    assert (
        "  (…) simulated: rounded, then computed in float; speed, peak memory and energy are not the recipe's" in text
    )


@pytest.mark.parametrize("saved", [3, 8], ids=["a part", "all"])
def test_what_a_baseline_took_is_left_out_where_it_answered_before(material: SummaryInput, saved: int) -> None:
    """The rest of its problems took less than all of the candidate's: no gate may set the two side by side."""
    material = replace(material, run=replace(HEADER, saved_baseline={"started_at": "2026-01-30"}))
    bare = [
        untimed(record) if record.recipe == "auto" and number < saved else record
        for number, record in enumerate(material.records)
    ]
    partial = summarize(replace(material, records=bare))

    assert summarize(material).efficiency["auto"].energy.energy_wh == 0.4
    costs = partial.efficiency["auto"]
    assert (costs.throughput, costs.energy.energy_wh, costs.wh_per_solved, costs.tpot_s) == (None, None, None, None)
    assert (costs.new_tokens, costs.peak_memory_bytes) == (0, None)
    assert partial.efficiency["int8"].throughput == 100
    said = [line.text for line in lines(partial, (), output=Path())]
    assert any("auto: what generating took is left out" in text for text in said)


def untimed(record: Record) -> Record:
    """Return a record as a saved baseline does without its costs."""
    return replace(
        record,
        samples=tuple(
            replace(sample, completion=replace(sample.completion, ttft_s=None, duration_s=None))
            for sample in record.samples
        ),
    )
