"""What has to be equal before a saved baseline may stand in for one that is run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pytest_qeval.facts import RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import ExecutionSettings, GenerationSettings, ModelSettings
from pytest_qeval.verdict.baseline.key import benchmark_key, cache_path, cost_key, differences, key_of, refusal
from tests.unit.summary.builders import HEADER

MODEL = {"id": "tiny", "source": "directory", "revision": "main", "weights_sha256": "00", "files_sha256": "01"}
VERSIONS = {"python": "3.11", "pytest-qeval": "0.1.0", "torch": "2.9.0", "transformers": "5.0", "tokenizers": "0.22"}
RUN = replace(HEADER, model=MODEL, versions=VERSIONS)
EXECUTION = ExecutionSettings()
TINY = ModelSettings(name="tiny")


def key(run: RunHeader = RUN, execution: ExecutionSettings = EXECUTION, *, replays: bool = False) -> Json:
    return key_of(run, execution=execution, replays=replays)


def cached(
    run: RunHeader = RUN,
    execution: ExecutionSettings = EXECUTION,
    *,
    model: ModelSettings = TINY,
    baseline: str = "auto",
) -> Path | None:
    return cache_path(run, baseline=baseline, execution=execution, model=model)


def test_every_setting_of_generation_is_a_condition() -> None:
    """A setting that is added later cannot be forgotten."""
    generation = asdict(GenerationSettings())

    assert {name: key()[f"generation.{name}"] for name in generation} == RUN.generation == generation


@pytest.mark.parametrize(
    ("run", "execution"),
    [
        (replace(RUN, generation={**RUN.generation, "max_new_tokens": 8}), EXECUTION),
        (RUN, ExecutionSettings(timeout_s=1.0)),
        (RUN, ExecutionSettings(memory_bytes=1)),
        (replace(RUN, engine="another"), EXECUTION),
        (replace(RUN, model={**MODEL, "weights_sha256": "11"}), EXECUTION),
        (replace(RUN, model={**MODEL, "files_sha256": "11"}), EXECUTION),
        (replace(RUN, versions={**VERSIONS, "torch": "2.10.0"}), EXECUTION),
        (replace(RUN, versions={**VERSIONS, "tokenizers": "0.23"}), EXECUTION),
    ],
    ids=["generation", "timeout", "memory", "engine", "weights", "files", "torch", "tokenizers"],
)
def test_whatever_may_change_a_completion_changes_the_key(run: RunHeader, execution: ExecutionSettings) -> None:
    """And with it the name of the cache's file."""
    assert key(run, execution) != key()
    assert cached(run, execution) != cached()


@pytest.mark.parametrize(
    ("run", "execution"),
    [
        (RUN, ExecutionSettings(workers=7)),
        (replace(RUN, model={**MODEL, "id": "elsewhere/tiny", "revision": None, "source": "hub"}), EXECUTION),
        (replace(RUN, versions={**VERSIONS, "python": "3.12", "numpy": "3.0"}), EXECUTION),
        (replace(RUN, id="later", started_at="2027-01-31T10:15:00+00:00", command="pytest -n2"), EXECUTION),
    ],
    ids=["workers", "name", "python", "time"],
)
def test_what_cannot_change_the_baseline_does_not_change_the_key(run: RunHeader, execution: ExecutionSettings) -> None:
    """Known weights make the model's name irrelevant."""
    assert key(run, execution) == key()
    assert cached(run, execution) == cached()


def test_without_known_weights_the_name_counts() -> None:
    """Then name and revision have to be the same; such a baseline is not cached."""
    run = replace(RUN, model={"id": "tiny", "source": "hub", "revision": "main", "weights_sha256": None})

    assert (key(run)["model.id"], key(run)["model.revision"]) == ("tiny", "main")
    assert "model.weights_sha256" not in key(run)
    assert cached(run) is None


def test_the_baseline_may_be_another_model() -> None:
    """Where a quantized checkpoint is compared with its original, the original's weights count."""
    assert key(replace(RUN, baseline_model={**MODEL, "weights_sha256": "22"}))["model.weights_sha256"] == "22"


def test_of_a_replay_only_the_limits_of_programs_are_known() -> None:
    """A samples file does not say which model wrote the completions, and how."""
    assert key(replays=True) == {
        "execution.timeout_s": EXECUTION.timeout_s,
        "execution.memory_bytes": EXECUTION.memory_bytes,
    }


def test_the_data_are_known_by_checksum() -> None:
    """One condition for each benchmark."""
    assert benchmark_key({"micro": "ab", "mine": "cd"}) == {"benchmarks.micro": "ab", "benchmarks.mine": "cd"}


@pytest.mark.parametrize(
    ("run", "model"),
    [
        (replace(RUN, host={**RUN.host, "cpu": "another"}), TINY),
        (replace(RUN, host={**RUN.host, "cores": 64}), TINY),
        (RUN, replace(TINY, device="cuda")),
        (RUN, replace(TINY, threads=1)),
        (RUN, replace(TINY, batch_size=1)),
    ],
    ids=["cpu", "cores", "device", "threads", "batch size"],
)
def test_a_cached_baseline_also_has_the_costs_of_this_machine(run: RunHeader, model: ModelSettings) -> None:
    """Whatever these depend on has a file of its own in the cache."""
    assert cost_key(run, model=model, n_workers=1) != cost_key(RUN, model=TINY, n_workers=1)
    assert cached(run, model=model) != cached()


def test_each_baseline_has_its_own_file_in_the_cache() -> None:
    """Twenty hexadecimal digits, the same in every process."""
    path = cached()

    assert path is not None
    assert path.name.endswith(".json.gz")
    assert int(path.name.removesuffix(".json.gz"), 16) < 16**20
    assert cached() == path != cached(baseline="bf16")


def test_differing_conditions_are_listed() -> None:
    """Those that the run has; a condition that the baseline does not know differs."""
    ours = {"a": 512, "b": "x", "c": None, "d": 0.0}

    assert differences(ours, {"a": 256, "b": "x", "d": 0, "e": 1}) == (
        "a: 512 here, 256 there",
        "c: none here, unknown there",
    )
    assert differences(ours, ours) == ()


def test_a_refusal_names_file_conditions_and_ways_out() -> None:
    """One sentence: what differs, and what can be done about it."""
    sentence = refusal(Path("b.json.gz"), ["a: 1 here, 2 there", "b: 3 here, unknown there"])

    assert sentence.startswith(
        "b.json.gz was made under other conditions (a: 1 here, 2 there; b: 3 here, unknown there)"
    )
    assert sentence.endswith("with --qeval-save-baseline, or accept the differences with --qeval-baseline-force.")
