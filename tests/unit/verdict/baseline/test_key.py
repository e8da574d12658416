"""What has to be equal before a saved baseline may stand in for one that is run."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pytest_qeval.facts import BenchmarkFacts, RecipeFacts, RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import ExecutionSettings, GenerationSettings, ModelSettings
from pytest_qeval.verdict.baseline.key import (
    batch_key,
    benchmark_key,
    cache_path,
    composition_of,
    cost_key,
    differences,
    key_of,
    recipe_key,
    refusal,
)
from tests.unit.summary.builders import HEADER, INT8, case

MODEL = {"id": "tiny", "source": "directory", "revision": "main", "weights_sha256": "00", "files_sha256": "01"}
HUB_MODEL = {"id": "org/tiny", "source": "hub", "revision": None, "commit": "a1"}
VERSIONS = {"python": "3.11", "pytest-qeval": "0.1.0", "torch": "2.9.0", "transformers": "5.0", "tokenizers": "0.22"}
RUN = replace(HEADER, model=MODEL, versions=VERSIONS, conditions={"device": "cpu (avx2)"})
EXECUTION = ExecutionSettings()
STATIC = replace(INT8, calibration={"texts_sha256": "ab"}, layers=({"name": "a", "bits": 8},))
TINY = ModelSettings(name="tiny")
BATCHES = composition_of([case(0), case(1)], threads=2, n_workers=1)


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
        (replace(RUN, versions={**VERSIONS, "python": "3.12"}), EXECUTION),
        (replace(RUN, sandbox="namespace"), EXECUTION),
        (replace(RUN, conditions={"device": "cpu (amx_bf16)"}), EXECUTION),
    ],
    ids=[
        *("generation", "timeout", "memory", "engine", "weights", "files", "torch", "tokenizers"),
        *("python", "sandbox", "device"),
    ],
)
def test_whatever_may_change_an_outcome_changes_the_key(run: RunHeader, execution: ExecutionSettings) -> None:
    """And with it the name of the cache's file."""
    assert key(run, execution) != key()
    assert cached(run, execution) != cached()


@pytest.mark.parametrize(
    ("run", "execution"),
    [
        (replace(RUN, model={**MODEL, "id": "elsewhere/tiny", "revision": None, "source": "hub"}), EXECUTION),
        (replace(RUN, versions={**VERSIONS, "pytest": "10.0"}), EXECUTION),
        (replace(RUN, id="later", started_at="2027-01-31T10:15:00+00:00", command="pytest -n2"), EXECUTION),
    ],
    ids=["name", "pytest", "time"],
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


def test_a_hub_model_is_its_commit() -> None:
    """Whether it was fetched or not, and whatever the revision is called; so its baseline is cached, once."""
    run, moved = replace(RUN, model=HUB_MODEL), replace(RUN, model={**HUB_MODEL, "commit": "b2"})
    named = replace(RUN, model={**HUB_MODEL, "revision": "main"})

    assert cached(run) is not None
    assert cached(run) == cached(named)
    assert cached(run) != cached(moved)
    assert differences(key(moved), key(run)) == ("model.commit: b2 here, a1 there",)


def test_a_baseline_is_not_known_by_fewer_conditions() -> None:
    """One of an older version lacks some: they are unknown, and so refused."""
    old = {name: value for name, value in key().items() if name not in {"versions.python", "device"}}

    assert differences(key(), old) == (
        "device: cpu (avx2) here, unknown there",
        "versions.python: 3.11 here, unknown there",
    )


def test_of_a_replay_only_the_execution_is_known() -> None:
    """A samples file does not say which model wrote the completions, and how."""
    assert key(replays=True) == {
        "execution.sandbox": "bwrap",
        "execution.timeout_s": EXECUTION.timeout_s,
        "execution.memory_bytes": EXECUTION.memory_bytes,
        "versions.python": "3.11",
        "versions.pytest-qeval": "0.1.0",
    }


def test_the_batch_is_a_condition_only_where_completions_depend_on_it() -> None:
    """A batch-invariant engine gives the same at any width."""
    dependent = replace(STATIC, batch_size=8, batch_dependence="kernels of cuda")

    assert batch_key(replace(dependent, batch_dependence=""), BATCHES) == {}
    assert batch_key(dependent, BATCHES) == {"batch.size": 8, **BATCHES}


def test_batches_are_made_of_cases_in_their_order_threads_and_workers() -> None:
    """A case that two recipes share is one."""
    assert composition_of([case(0), case(1), case(0)], threads=2, n_workers=1) == BATCHES
    assert composition_of([case(1), case(0)], threads=2, n_workers=1) != BATCHES
    assert composition_of([case(0), case(1)], threads=None, n_workers=1)["batch.threads"] >= 1
    assert composition_of([case(0)], threads=1, n_workers=2) == composition_of([case(0)], threads=None, n_workers=2)


@pytest.mark.parametrize(
    "facts",
    [
        replace(STATIC, dtype="bfloat16"),
        replace(STATIC, kept=("lm_head",)),
        replace(STATIC, calibration={"texts_sha256": "cd"}),
        replace(STATIC, layers=({"name": "a", "bits": 4},)),
    ],
    ids=["dtype", "kept", "texts", "layers"],
)
def test_what_a_recipe_did_is_known_once_it_is_loaded(facts: RecipeFacts) -> None:
    """Two recipes of one name do not share a file. What it cost is no part of it."""
    assert recipe_key(facts) != recipe_key(STATIC)
    assert recipe_key(replace(STATIC, load_s=9.0, role="baseline")) == recipe_key(STATIC)
    assert recipe_key(replace(STATIC, dtype=None)) == {}


def test_a_quantized_cache_is_part_of_what_was_done() -> None:
    """By its grid, and not by the bytes that are counted."""
    eight = {"bits": 8, "granularity": "per_token_head", "symmetric": True}
    keys = [recipe_key(replace(STATIC, cache=one)) for one in (None, eight, {**eight, "bits": 4})]
    assert len({key["recipe_sha256"] for key in keys}) == 3
    assert recipe_key(replace(STATIC, cache={**eight, "token_bytes": 9})) == keys[1]


def test_the_data_are_known_by_checksum() -> None:
    """One condition for each benchmark."""
    micro = BenchmarkFacts(name="micro", version="1", sha256="ab", problems=4)
    mine = replace(micro, name="mine", sha256="cd", infilling="{prefix}")
    assert benchmark_key([micro, mine]) == {
        "benchmarks.micro": "ab",
        "benchmarks.mine": "cd",
        "infilling.mine": "{prefix}",
    }


@pytest.mark.parametrize(
    ("run", "model"),
    [
        (replace(RUN, host={**RUN.host, "cpu": "another"}), TINY),
        (replace(RUN, host={**RUN.host, "cores": 64}), TINY),
        (RUN, replace(TINY, threads=1)),
        (RUN, replace(TINY, batch_size=1)),
    ],
    ids=["cpu", "cores", "threads", "batch size"],
)
def test_a_cached_baseline_also_has_the_costs_of_this_machine(run: RunHeader, model: ModelSettings) -> None:
    """Whatever these depend on has a file of its own in the cache."""
    ours = cost_key(run, model=model, execution=EXECUTION, n_workers=1)
    assert ours != cost_key(RUN, model=TINY, execution=EXECUTION, n_workers=1)
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
