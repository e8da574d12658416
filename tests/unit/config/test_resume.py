"""`--qeval-resume` finds the run, and every setting that has to be equal is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.config.resume import resume_settings
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import Completion
from pytest_qeval.settings import CalibrationSettings, EnergySettings
from tests.unit.verdict.baseline.test_every_setting import ANSWER, COST, NEITHER, SETTINGS, TEXTS, changed

Configure = Callable[..., pytest.Config]

FREE = {
    *ANSWER,
    *(name for name in COST if not name.startswith("energy.")),
    *(name for name in NEITHER if name.startswith("model.")),
    *("left_out", "unused", "data", "export", "calibration.allow_overlap", "baseline_cached", "baseline_force"),
    *("save_baseline", "output", "resume", "open_page", "prompt_reason", "prompt_doubt", "budgets", "recipes"),
}
"""Compared as conditions of the answers; conditions of costs; and where things lie. Two have tests of their own."""


def refusal_of(configure: Configure, samples: Path, *arguments: str) -> str:
    with pytest.raises(pytest.UsageError) as refused:
        configure("--qeval-completions", str(samples), *arguments)
    assert not Path(".qeval").exists()
    return str(refused.value)


@pytest.mark.parametrize("name", [name for name in {**NEITHER, **COST} if name not in FREE])
def test_a_setting_has_to_be_equal(name: str) -> None:
    assert resume_settings(SETTINGS) != resume_settings(changed(name, {**NEITHER, **COST}[name]))


@pytest.mark.parametrize("name", sorted(FREE & {*ANSWER, *COST, *NEITHER} - {"budgets", "recipes"}))
def test_others_are_free(name: str) -> None:
    assert resume_settings(SETTINGS) == resume_settings(changed(name, {**ANSWER, **COST, **NEITHER}[name]))


@pytest.mark.parametrize(
    "changes",
    [
        {"recipes": {"int8": Recipe(name="int8", summary="another file of this name", kept=())}},
        {"samples": {"micro/0": [Completion(text="    pass\n", n_tokens=None, finish_reason="replay")]}},
    ],
    ids=["recipe", "samples"],
)
def test_files_are_compared_by_their_content(changes: dict[str, Any]) -> None:
    """A recipe's file may have another content under the same name."""
    before = replace(SETTINGS, recipes={"int8": Recipe(name="int8", summary="")})
    assert resume_settings(before) != resume_settings(replace(before, **changes))


def test_servers_are_compared_by_their_models() -> None:
    """Where a recipe is a server's model."""
    assert SETTINGS.resolved
    served = {"int8": ModelSource(kind="hub", name="org/other")}
    other = replace(SETTINGS, resolved=replace(SETTINGS.resolved, served=served))
    assert resume_settings(SETTINGS) != resume_settings(other)


def test_values_survive_a_journal() -> None:
    """They are texts, numbers, true, false or none."""
    settings = replace(
        SETTINGS,
        calibration=CalibrationSettings(source="texts.jsonl"),
        calibration_texts={"int8": TEXTS},
        energy=EnergySettings(),
    )
    assert all(isinstance(value, (str, int, float, type(None))) for value in resume_settings(settings).values())


def test_without_a_run_there_is_nothing_to_resume(configure: Configure, samples: Path) -> None:
    refusal = refusal_of(configure, samples, "--qeval-resume")
    assert "there is no run in" in refusal
    assert ".qeval/latest" in refusal


def test_a_test_file_is_no_run(configure: Configure, samples: Path) -> None:
    """The word behind the option is its value: it says how to write it."""
    Path("test_mine.py").touch()
    refusal = refusal_of(configure, samples, "--qeval-resume", "test_mine.py")
    assert "there is no run in" in refusal
    assert "--qeval-resume=DIR" in refusal


def test_one_folder_is_named(configure: Configure, samples: Path) -> None:
    refusal = refusal_of(configure, samples, "--qeval-resume=one", "--qeval-output", "other")
    assert "leave one of the two out" in refusal
