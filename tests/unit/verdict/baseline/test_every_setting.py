"""Every setting of a run changes outcomes, or only costs, or neither: a new one cannot be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.facts import RunHeader
from pytest_qeval.hooks.start import describe_run
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.schema import Json
from pytest_qeval.settings import Embodied, LlamaSettings, ModelSettings, ServerSettings, VllmSettings
from pytest_qeval.verdict.baseline.key import cost_key, key_of
from pytest_qeval.verdict.gates.grammar import parse_gate

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)


class FakeEngineSource:
    """Describes a hub model as the transformers engine does."""

    in_process = True

    def describe(self, source: ModelSource) -> Json:
        return {"id": source.name, "source": source.kind, "revision": source.revision, "commit": source.commit}

    def conditions(self, model: ModelSettings) -> Json:
        return {"device": model.device}


def resolved(commit: str) -> ResolvedModel:
    engine: Any = FakeEngineSource()
    return ResolvedModel(engine=engine, source=ModelSource(kind="hub", name="org/name", commit=commit))


SETTINGS = RunSettings(
    model=ModelSettings(name="org/name"), resolved=resolved("a1"), candidates=("int8",), baseline="auto"
)
TEXTS = CalibrationTexts(texts=("x",), source="a file", sha256="ab", seed=0)

ANSWER: dict[str, Any] = {
    "model.engine": "another",
    "model.device": "cuda",
    "resolved": resolved("b2"),
    "generation.n_samples": 5,
    "generation.temperature": 0.2,
    "generation.top_p": 0.9,
    "generation.max_new_tokens": 8,
    "generation.seed": 1,
    "generation.prompt_style": "chat",
    "execution.isolation": "namespace",
    "execution.timeout_s": 1.0,
    "execution.memory_bytes": 2**20,
}
"""Whatever may change what becomes of a problem: a saved baseline has to agree."""
COST: dict[str, Any] = {
    "model.threads": 3,
    "model.batch_size": 3,
    "execution.workers": 9,
    "energy.country": "FRA",
    "energy.power_w": 65.0,
}
"""Whatever changes costs alone: those of a saved baseline are left out."""
FINDS_THE_MODEL: dict[str, Any] = {
    "model.name": "./name",
    "model.revision": "v1",
    "model.remote_code": True,
    "model.memory_bytes": 1,
    "model.place": 1,
    "model.llama": LlamaSettings(slots=2),
    "model.vllm": VllmSettings(memory_share=0.5),
    "model.server": ServerSettings(endpoint="http://localhost:8080/v1"),
    "budgets": {"int8": None},
}
"""`resolved` is what they lead to; and a model that does not fit is refused."""
CHOOSES_CASES: dict[str, Any] = {
    "suites": ("micro",),
    "left_out": {"mbpp": "no data"},
    "benchmarks": ("micro",),
    "perturbations": ("butter_fingers",),
    "perturbation_seeds": 2,
    "limit": 1,
    "until_decided": True,
    "unused": ("top-p",),
    "data": Path("data"),
}
"""Records are found by case; problems are known by the checksum of their data."""
CHOOSES_FORMS: dict[str, Any] = {"fim": "{prefix}"}
"""The form of a benchmark is in `benchmark_key`, so that one without a suffix does not depend on it."""
OF_CANDIDATES: dict[str, Any] = {
    "candidates": ("w4a16",),
    "recipes": {"int8": None},
    "export": Path("export"),
    "baseline_drafts": True,
    "calibration.source": "texts.jsonl",
    "calibration.allow_overlap": True,
    "calibration_texts": {"int8": TEXTS},
}
"""The baseline's own recipe is in the file: `recipe_key`."""
OF_THE_COMPARISON: dict[str, Any] = {
    "divergence_texts": {"micro/0": "    pass\n"},
    "baseline": "bf16",
    "baseline_file": Path("base.json.gz"),
    "baseline_cached": True,
    "baseline_force": True,
    "save_baseline": Path("base.json.gz"),
    "control": True,
    "gates": (parse_gate("pass@1 drop <= 2pt"),),
    "require_proof": True,
    "allow_missing": True,
    "strict": True,
    "output": Path("out"),
    "resume": Path("out"),
    "open_page": True,
    "prompt_reason": "because",
    "prompt_doubt": "perhaps",
    "energy.embodied": Embodied(grams=3e5, lifetime_s=1e8),
}
NEITHER = {**FINDS_THE_MODEL, **CHOOSES_CASES, **CHOOSES_FORMS, **OF_CANDIDATES, **OF_THE_COMPARISON}
ANOTHER_KIND_OF_RUN = {"completions", "samples", "samples_notes", "selftest"}
"""Those without a model."""

HEADER_ROLES = {
    **dict.fromkeys(("model", "baseline_model", "engine", "generation", "versions", "sandbox", "conditions"), "answer"),
    **dict.fromkeys(("host", "energy"), "cost"),
    **dict.fromkeys(
        (
            "id",
            "started_at",
            "command",
            "saved_baseline",
            "prompt_reason",
            "prompt_doubt",
            "ci",
            "resumed",
            "sandbox_limits",
        ),
        "neither",
    ),
}


class Keys(NamedTuple):
    """What a run's baseline depends on."""

    answer: Json
    cost: Json


def keys_of(settings: RunSettings, header: RunHeader | None = None) -> Keys:
    """Return both keys as a session makes them."""
    run = header or describe_run(settings, sandbox=settings.execution.isolation, arguments=(), now=NOW)
    return Keys(
        key_of(run, execution=settings.execution, replays=settings.replays),
        cost_key(run, model=settings.model, execution=settings.execution, n_workers=1),
    )


def leaves(value: object, prefix: str = "") -> Iterator[str]:
    """Name the fields, those of groups of settings by both names; `resolved` is found, and no setting."""
    for field in fields(value):  # type: ignore[arg-type] # a dataclass
        inner = getattr(value, field.name)
        if is_dataclass(inner) and field.name != "resolved":
            yield from leaves(inner, f"{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def changed(name: str, value: Any) -> RunSettings:
    """Return the settings with one field changed."""
    group, _, field = name.rpartition(".")
    if not group:
        return replace(SETTINGS, **{name: value})
    return replace(SETTINGS, **{group: replace(getattr(SETTINGS, group), **{field: value})})


def test_every_field_is_one_of_the_three() -> None:
    """Add a new one to the table that it belongs to, and to the key if it has to be there."""
    named = [*ANSWER, *COST, *NEITHER, *ANOTHER_KIND_OF_RUN]
    assert sorted(leaves(SETTINGS)) == sorted(named)
    assert {field.name for field in fields(RunHeader)} == HEADER_ROLES.keys()


@pytest.mark.parametrize("name", [*ANSWER, *COST, *NEITHER])
def test_a_field_changes_what_it_is_said_to_change(name: str) -> None:
    before, after = keys_of(SETTINGS), keys_of(changed(name, {**ANSWER, **COST, **NEITHER}[name]))
    assert (before.answer != after.answer) == (name in ANSWER)
    assert (before.cost != after.cost) == (name in COST)


@pytest.mark.parametrize(("name", "role"), HEADER_ROLES.items())
def test_so_does_a_field_of_the_header(name: str, role: str) -> None:
    """Whatever is in it is found out by the run itself."""
    run = describe_run(SETTINGS, sandbox="bwrap", arguments=(), now=NOW)
    run = replace(run, versions={**run.versions, "codecarbon": "3.0"})
    before = getattr(run, name)
    other: Any = dict.fromkeys(before or {"commit": "c3"}, "another") if not isinstance(before, str) else "another"
    keys, other_keys = keys_of(SETTINGS, run), keys_of(SETTINGS, replace(run, **{name: other}))
    assert (keys.answer != other_keys.answer) == (role == "answer")
    assert (keys.cost != other_keys.cost) == (role == "cost" or name == "versions")  # of what meters energy
