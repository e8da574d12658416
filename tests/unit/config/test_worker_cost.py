"""The line on what several workers cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qeval.config import worker_cost as module
from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.config.worker_cost import worker_cost
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> RunSettings:
    """Return those of a run of the embedded model, on four cores without a GPU."""
    monkeypatch.setattr(module, "usable_cores", lambda: 4)
    monkeypatch.setattr(module, "may_have_gpu", lambda: False)
    model = ModelSettings(name="demo")
    return RunSettings(
        model=model,
        resolved=ResolvedModel(engine=TRANSFORMERS, source=TRANSFORMERS.find(model)),
        candidates=("int8",),
        baseline="auto",
        recipes={name: find_recipe(name) for name in ("int8", "auto")},
    )


def test_each_worker_holds_the_largest_recipe(settings: RunSettings) -> None:
    """In float32 the embedded model has 6.63 MB, and a packed copy of its output layer."""
    assert worker_cost(settings, n_workers=2) == (
        "-n 2: each worker has 2 of the 4 cores and weights of its own, up to 14.6 MB in all by prediction; one "
        "process uses all cores with 7.28 MB"
    )


def test_one_process_has_no_others(settings: RunSettings) -> None:
    assert worker_cost(settings, n_workers=1) == ""


@pytest.mark.parametrize("model", [{"device": "cuda"}, {"engine": "llamacpp"}])
def test_workers_with_devices_or_servers_of_their_own_are_left_alone(
    settings: RunSettings, model: dict[str, str]
) -> None:
    other = replace(settings, model=replace(settings.model, **model))  # type: ignore[arg-type]
    assert worker_cost(other, n_workers=2) == ""


def test_a_machine_with_a_gpu_says_nothing(settings: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "may_have_gpu", lambda: True)
    assert worker_cost(settings, n_workers=2) == ""
