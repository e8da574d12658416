"""Costs in the terminal and in the report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pytest_qeval.facts import StreamFacts
from pytest_qeval.report.json import SCHEMA_PATH, report_dict
from pytest_qeval.report.terminal import lines
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.summary.builders import HEADER, INT8, generation, session, simulating

STREAM = "single stream 20.0 ms per token against 10.0"
BATCH = "batch 50 tokens/s against 100"
LAYER = {
    "name": "up",
    "shape": [4, 4],
    "bits": 8,
    "granularity": "per_channel",
    "kept": False,
    "bytes_before": 64,
    "bytes_after": 32,
}
FOUND = session("++++----", "+++-+--t")


def timed(*, stream: tuple[float, float], batch: tuple[float, float]) -> SummaryInput:
    """Make the costs of a single stream in seconds per token, and of a batch in tokens per second, for both recipes."""
    names = ("auto", "int8")
    return replace(
        FOUND,
        generation=[
            generation(name, tokens=200, busy_s=200 / rate, energy_wh=None)
            for name, rate in zip(names, batch, strict=True)
        ],
        streams=[
            StreamFacts(recipe=name, prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(seconds, seconds))
            for name, seconds in zip(names, stream, strict=True)
        ],
    )


def texts(found: SummaryInput) -> list[str]:
    return [line.text for line in lines(summarize(found), (), output=Path())]


@pytest.mark.parametrize(
    ("stream", "batch", "expected"),
    [
        ((0.01, 0.02), (100.0, 50.0), f"no speed-up on this device, slower than auto: {STREAM}; {BATCH}"),
        ((0.01, 0.02), (100.0, 150.0), f"slower than auto: {STREAM}"),
        ((0.01, 0.005), (100.0, 50.0), f"slower than auto: {BATCH}"),
        ((0.01, 0.005), (100.0, 150.0), ""),
    ],
    ids=["both", "stream", "batch", "faster"],
)
def test_a_slower_recipe_has_a_note(stream: tuple[float, float], batch: tuple[float, float], expected: str) -> None:
    """Only a recipe that is slower both ways has no speed-up; the report has the same text."""
    found = timed(stream=stream, batch=batch)

    assert report_dict(summarize(found), ())["efficiency"]["int8"]["slower"] == expected
    assert [text for text in texts(found) if "slower than" in text] == ([f"  int8: {expected}"] if expected else [])


@pytest.mark.parametrize("recipe", ["auto", "int8"])
def test_a_simulated_recipe_is_neither_slower_nor_faster(recipe: str) -> None:
    """Its speed is that of floating point, whichever of the two it is."""
    slow = simulating(timed(stream=(0.01, 0.02), batch=(100.0, 50.0)), recipe)

    assert not any("slower" in text for text in texts(slow))


def test_simulated_numbers_are_marked_in_the_report() -> None:
    report = report_dict(summarize(simulating(FOUND, "int8")), ())

    assert {name: costs["simulated"] for name, costs in report["efficiency"].items()} == {"auto": False, "int8": True}
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_a_simulated_recipe_shows_its_packed_size() -> None:
    """Its speed is in parentheses and its size is not, as the legend says."""
    text = texts(simulating(FOUND, "int8"))

    def cells(label: str) -> list[str]:
        return next(line for line in text if line.startswith(f"  {label}")).removeprefix(f"  {label}").split()

    assert cells("throughput, tokens/s") == ["50", "(100)"]
    assert cells("model in memory") == ["4", "kB", "1.5", "kB", "packed"]
    assert cells("peak memory of the process") == ["5", "kB", "(5", "kB)"]
    what = "speed, peak memory and energy are not the recipe's"
    assert f"  (…) simulated: weights are rounded but computed in float, so {what}" in text


CACHE = {
    "bits": 8,
    "granularity": "per_token_head",
    "symmetric": True,
    "execution": "simulated",
    "token_bytes": 6528,
    "held_token_bytes": 12288,
}


@pytest.mark.parametrize(("layer", "packed"), [("native", ""), ("simulated", " packed")])
def test_a_quantized_cache_has_its_packed_size_and_leaves_the_model_its_own(layer: str, packed: str) -> None:
    """Only weights that are simulated as well are shown as packed; the report is valid."""
    facts = replace(INT8, execution="simulated", cache=CACHE, layers=({**LAYER, "execution": layer},))
    found = replace(FOUND, recipes={**FOUND.recipes, "int8": facts})
    text = "\n".join(texts(found))
    assert re.search(r"key/value cache of a token +– +6.53 kB packed\n", text)
    assert re.search(rf"model in memory +4 kB +1.5 kB{packed}\n", text)
    assert "simulated: weights or cache are rounded" in text
    report = report_dict(summarize(found), ())
    assert report["recipes"]["int8"]["cache"] == CACHE
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))


def test_costs_of_a_saved_baseline_say_where_they_are_from() -> None:
    """The date of their run, or why the costs of generating are left out."""
    saved = replace(FOUND, run=replace(HEADER, saved_baseline={"started_at": "2026-01-30"}))

    assert "  auto: costs that were not measured in this run are from 2026-01-30" in texts(saved)
    without = replace(saved, generation=saved.generation[1:])
    assert any(text.startswith("  auto: the costs of generating are left out, because") for text in texts(without))
    assert not any(text.startswith("  auto: ") for text in texts(replace(without, planned=[])))  # nothing is generated


def test_energy_has_its_provenance() -> None:
    """Measured or estimated and by which method, or the reason why there is none."""
    unmetered = replace(FOUND, generation=[generation("int8", tokens=100, busy_s=1.0, energy_wh=None)])

    assert "  energy estimated, not measured: a model" in texts(FOUND)
    assert "  energy: no meter" in texts(unmetered)
    assert report_dict(summarize(unmetered), ())["efficiency"]["int8"]["energy"] == {
        "undefined": "no meter",
        "blocks": {},
    }


def test_notes_of_a_recipe_stand_below_its_costs() -> None:
    noted = replace(INT8, notes=("held in 8 bits",), decoding="generate, one prompt at a time")
    text = texts(replace(FOUND, recipes={**FOUND.recipes, "int8": noted}))

    assert "  int8: held in 8 bits" in text
    assert "  int8 was decoded by generate, one prompt at a time" in text


def test_a_note_of_several_recipes_is_said_once() -> None:
    noted = {name: replace(facts, notes=("held in 8 bits",)) for name, facts in FOUND.recipes.items()}
    text = texts(replace(FOUND, recipes=noted))

    assert [line for line in text if "held in 8 bits" in line] == ["  auto, int8: held in 8 bits"]


def test_without_costs_there_is_no_table() -> None:
    """As for a replay, which loads no model."""
    text = texts(replace(FOUND, recipes={}, generation=[]))

    assert not any(line.startswith("cost") for line in text)


def test_few_values_have_a_maximum_instead_of_a_percentile() -> None:
    """Three prefills have no p99, and the report has null for it."""
    streams = [
        StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1, 0.3, 0.2), decode_s=decode_s)
        for decode_s in ((0.01,) * 40, (0.02,) * 79, (0.03,))
    ]
    found = replace(FOUND, streams=streams)
    report = report_dict(summarize(found), ())
    cells = {label: next(text for text in texts(found) if label in text) for label in ("prefill ms", "ms per token")}

    assert report["efficiency"]["int8"]["prefill"]["latency_s"] == {
        "p50": 0.2,
        "p90": None,
        "p99": None,
        "max": 0.3,
        "n": 9,
    }
    assert cells["prefill ms"].endswith("200 / max 300 of 9")
    assert cells["ms per token"].endswith("20.0 / 20.0 / 20.0")
    jsonschema.validate(report, json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
