"""Gates as Allure results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qeval.report.allure.gates import write_gates
from pytest_qeval.schema import Json, Undefined
from pytest_qeval.summary.results import GateResult

pytest.importorskip("allure_commons")

GATE = GateResult(
    expression="pass@1 drop <= 2pt",
    recipe="int8",
    benchmark="micro",
    observed=Undefined(reason="not needed"),
    threshold=0.02,
    outcome="fail",
    evidence="worse",
    reason="observed 5.0 pt",
)


def results(folder: Path, *gates: GateResult) -> list[Json]:
    folder.mkdir()
    write_gates(folder, gates, model="tiny")
    return [json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir()]


def test_a_gate_is_a_test_with_its_reason(tmp_path: Path) -> None:
    (found,) = results(tmp_path / "a", GATE)

    assert (found["name"], found["status"]) == ("pass@1 drop <= 2pt (int8, micro)", "failed")
    assert found["statusDetails"] == {"message": "gate broken: observed 5.0 pt; worse"}
    labels = {label["name"]: label["value"] for label in found["labels"]}
    assert labels == {
        "epic": "tiny",
        "feature": "gates",
        "story": "int8",
        "parentSuite": "gates",
        "suite": "int8",
        "severity": "blocker",
    }


def test_the_identity_depends_on_the_gate_alone(tmp_path: Path) -> None:
    """A gate keeps its history over runs, whatever they observe; another benchmark is another gate."""
    (first,) = results(tmp_path / "a", GATE)
    (again,) = results(tmp_path / "b", replace(GATE, outcome="pass", reason="observed 0.0 pt"))
    (other,) = results(tmp_path / "c", replace(GATE, benchmark=None))

    assert first["historyId"] == again["historyId"] != other["historyId"]
    assert first["uuid"] != again["uuid"]
    assert again["status"] == "passed"
