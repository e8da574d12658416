"""What has to be equal before a saved baseline may stand in for one that is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.facts import RunHeader
from pytest_qeval.settings import (
    CalibrationSettings,
    ExecutionSettings,
    GenerationSettings,
    ModelSettings,
)
from pytest_qeval.verdict.baseline.key import benchmark_key, cache_name, key_of
from tests.unit.summary.builders import HEADER

SETTINGS = RunSettings(model=ModelSettings(name="tiny"), candidates=("int8",), baseline="auto")
MODEL = {"id": "tiny", "source": "directory", "revision": "main", "weights_sha256": "00", "files_sha256": "01"}
VERSIONS = {"python": "3.11", "pytest-qeval": "0.1.0", "torch": "2.9.0", "transformers": "5.0", "tokenizers": "0.22"}
RUN = replace(HEADER, model=MODEL, versions=VERSIONS)


def test_every_setting_of_generation_is_a_condition() -> None:
    """A setting that is added later cannot be forgotten."""
    key = key_of(SETTINGS, RUN)

    assert {name: key[f"generation.{name}"] for name in asdict(GenerationSettings())} == asdict(SETTINGS.generation)


@pytest.mark.parametrize(
    "other",
    [
        (replace(SETTINGS, generation=GenerationSettings(max_new_tokens=8)), RUN),
        (replace(SETTINGS, execution=ExecutionSettings(timeout_s=1.0)), RUN),
        (replace(SETTINGS, execution=ExecutionSettings(memory_bytes=1)), RUN),
        (SETTINGS, replace(RUN, engine="another")),
        (SETTINGS, replace(RUN, model={**MODEL, "weights_sha256": "11"})),
        (SETTINGS, replace(RUN, model={**MODEL, "files_sha256": "11"})),
        (SETTINGS, replace(RUN, versions={**VERSIONS, "torch": "2.10.0"})),
        (SETTINGS, replace(RUN, versions={**VERSIONS, "tokenizers": "0.23"})),
    ],
    ids=["generation", "timeout", "memory", "engine", "weights", "files", "torch", "tokenizers"],
)
def test_whatever_may_change_an_answer_changes_the_key(other: tuple[RunSettings, RunHeader]) -> None:
    """And with it the name of the cache's file."""
    assert key_of(*other) != key_of(SETTINGS, RUN)
    assert cache_name(*other) != cache_name(SETTINGS, RUN)


@pytest.mark.parametrize(
    "other",
    [
        (replace(SETTINGS, candidates=("w4a16", "int8")), RUN),
        (replace(SETTINGS, limit=3, strict=True, output=Path("out")), RUN),
        (replace(SETTINGS, calibration=CalibrationSettings(source="texts.jsonl")), RUN),
        (replace(SETTINGS, execution=ExecutionSettings(workers=7)), RUN),
        (SETTINGS, replace(RUN, model={**MODEL, "id": "elsewhere/tiny", "revision": None, "source": "hub"})),
        (SETTINGS, replace(RUN, versions={**VERSIONS, "python": "3.12", "numpy": "3.0"})),
        (SETTINGS, replace(RUN, id="later", started_at="2027-01-31T10:15:00+00:00", command="pytest -n2")),
    ],
    ids=["candidates", "limit", "calibration", "workers", "name", "python", "time"],
)
def test_what_cannot_change_the_baseline_does_not_change_the_key(other: tuple[RunSettings, RunHeader]) -> None:
    """Weights that are known make the model's name irrelevant; the number of problems is looked at one by one."""
    assert key_of(*other) == key_of(SETTINGS, RUN)
    assert cache_name(*other) == cache_name(SETTINGS, RUN)


def test_weights_that_are_not_known_are_known_by_name() -> None:
    """Then name and revision have to be the same; such a baseline is not cached."""
    run = replace(RUN, model={"id": "tiny", "source": "hub", "revision": "main", "weights_sha256": None})
    key = key_of(SETTINGS, run)

    assert (key["model.id"], key["model.revision"]) == ("tiny", "main")
    assert "model.weights_sha256" not in key
    assert cache_name(SETTINGS, run) is None


def test_the_baseline_may_be_another_model() -> None:
    """Where a quantized checkpoint is compared with its original, the original's weights count."""
    key = key_of(SETTINGS, replace(RUN, baseline_model={**MODEL, "weights_sha256": "22"}))

    assert key["model.weights_sha256"] == "22"


def test_of_a_replay_nothing_is_known_but_how_programs_were_run() -> None:
    """Who answered, and how, is not in a samples file; what the limits of a program were is known."""
    assert key_of(replace(SETTINGS, completions=Path("answers.jsonl")), RUN) == {
        "execution.timeout_s": SETTINGS.execution.timeout_s,
        "execution.memory_bytes": SETTINGS.execution.memory_bytes,
    }


def test_the_data_are_known_by_checksum() -> None:
    """One condition for each benchmark."""
    facts = {"version": "1", "sha256": "ab", "problems": 3}

    assert benchmark_key({"micro": facts, "mine": {**facts, "sha256": "cd"}}) == {
        "benchmarks.micro": "ab",
        "benchmarks.mine": "cd",
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda settings, run: (settings, replace(run, host={**run.host, "cpu": "another"})),
        lambda settings, run: (settings, replace(run, host={**run.host, "cores": 64})),
        lambda settings, run: (replace(settings, model=replace(settings.model, device="cuda")), run),
        lambda settings, run: (replace(settings, model=replace(settings.model, threads=1)), run),
        lambda settings, run: (replace(settings, model=replace(settings.model, batch_size=1)), run),
        lambda settings, run: (replace(settings, baseline="bf16"), run),
    ],
    ids=["cpu", "cores", "device", "threads", "batch size", "baseline"],
)
def test_a_cached_baseline_also_has_the_costs_of_this_machine(
    change: Callable[[RunSettings, RunHeader], tuple[RunSettings, RunHeader]],
) -> None:
    """Whatever these depend on has a file of its own in the cache."""
    assert cache_name(*change(SETTINGS, RUN)) != cache_name(SETTINGS, RUN)


def test_the_name_in_the_cache_is_a_file_name_of_a_saved_baseline() -> None:
    """Twenty hexadecimal digits, the same in every process."""
    name = cache_name(SETTINGS, RUN)

    assert name is not None
    assert name.endswith(".json.gz")
    assert int(name.removesuffix(".json.gz"), 16) < 16**20
    assert cache_name(SETTINGS, RUN) == name
