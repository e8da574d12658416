"""A worker of pytest-xdist is told what the controller has found out, and does not find out something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.config.parse import Settled, read_settings
from pytest_qeval.config.prompt_format import PromptFormat
from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.hooks import xdist
from pytest_qeval.settings import ModelSettings


def test_workers_share_the_memory_and_the_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free is measured once, before any of them loads a model; a replacement of one has no more."""
    monkeypatch.setattr(xdist, "available_memory_bytes", iter([1000, 10]).__next__)
    model, original = (ModelSource(kind="hub", name="org/name", commit=commit) for commit in ("a1", "b2"))
    resolved = ResolvedModel(engine=TRANSFORMERS, source=model, original=original)
    settings = RunSettings(model=ModelSettings(name="org/name"), resolved=resolved, candidates=("int8",), baseline=None)
    config: Any = SimpleNamespace(getoption=lambda _: "load", add_cleanup=lambda _: None)
    context: Any = SimpleNamespace(settings=settings, n_workers=2, resumed=None)
    distributor = xdist.Distributor(
        config, context, baseline=None, announce=lambda _: None, baseline_record=lambda *_: None
    )
    workers = [worker(f"gw{number}") for number in range(3)]
    for one in workers:
        distributor.pytest_configure_node(one)

    handed = [one.workerinput["qeval"] for one in workers]
    assert [one["memory_bytes"] for one in handed] == [500, 500, 500]
    assert [one["commits"] for one in handed] == [["a1", "b2"]] * 3
    assert [one["place"] for one in handed] == [0, 1, 2]
    assert [one["contents"] for one in handed] == [None] * 3

    distributor.pytest_testnodedown(workers[1], error="killed")
    distributor.pytest_configure_node(replacement := worker("gw3"))
    assert replacement.workerinput["qeval"]["place"] == 1


def worker(name: str) -> Any:
    """Return what pytest-xdist passes for a worker of this machine."""
    spec = SimpleNamespace(popen=True, via=None)
    gateway = SimpleNamespace(spec=spec, newchannel=lambda: None)
    return SimpleNamespace(gateway=gateway, workerinput={"workerid": name})


def test_a_worker_loads_the_controllers_commits(
    configure: Callable[..., pytest.Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the model, and of another one that is the baseline."""
    found: list[ModelSettings] = []

    def find(_: object, model: ModelSettings) -> ModelSource:
        found.append(model)
        return replace(demo, name=model.name)

    demo = TRANSFORMERS.find(ModelSettings(name="demo"))
    config = configure("--qeval-model", "demo", "--qeval-recipe", "int8", "--qeval-baseline", "demo")
    monkeypatch.setattr(type(TRANSFORMERS), "find", find)
    style = PromptFormat("completion", "as the controller says")
    settings = read_settings(config, Settled(prompt=style, suites=("micro",), commits=("a1", "b2"), memory_bytes=500))

    assert [model.revision for model in found] == ["a1", "b2"]
    assert settings is not None
    assert settings.model.memory_bytes == 500
