"""Rows of every type of message, as a file holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from pytest_qeval.facts import (
    BenchmarkFacts,
    BlockSensitivity,
    EnergyFacts,
    GateDecision,
    InvalidCase,
    PerturbationFacts,
    SensitivityFacts,
    StreamFacts,
    TimelineFacts,
)
from pytest_qeval.measure.divergence_facts import DivergenceFacts, ProblemDivergence
from pytest_qeval.measure.memory_facts import BudgetFacts
from pytest_qeval.measure.timing_facts import WORKLOADS, BlockEnergyFacts
from pytest_qeval.measure.topk import TextScores
from pytest_qeval.records.messages import (
    BaselineScores,
    Message,
    Plan,
    PlannedCase,
    PlannedGate,
    RunEnd,
    RunResumed,
    RunStart,
)
from pytest_qeval.schema import Json
from tests.unit.measure.timings import problems, timing
from tests.unit.summary.builders import HEADER, INT8, case, generation, memory, prediction, record

LAYER: Json = {
    "name": "model.layers.0.mlp.up_proj",
    "shape": (64, 32),
    "bits": 8,
    "granularity": "per_channel",
    "kept": False,
    "execution": "native",
    "bytes_before": 8192,
    "bytes_after": 2304,
    "note": "",
}
PROBLEM = ProblemDivergence(
    task_id="micro/0",
    tokens=3,
    kl=0.1,
    reverse_kl=0.1,
    same_top1=3,
    delta_p=-0.2,
    delta_p_squared=0.04,
    baseline_log_prob=-1.5,
    candidate_log_prob=-1.7,
)
TEXT = TextScores(
    task_id="micro/0",
    tokens_sha256="0" * 64,
    choices=(4,),
    top_ids=((4, 5),),
    top_log_probs=((-0.1, -3.0),),
    tail_log_probs=(-4.0,),
    reference_log_probs=(-0.1,),
)
PERTURBED = replace(
    record("int8", 1, "-"),
    case=replace(case(1), perturbation="butter_fingers"),
    prompt_diff="--- nominal\n+++ micro/1-butter_fingers-s0\n",
)
MESSAGES: Sequence[Message] = (
    RunStart(**asdict(HEADER), planned=16),
    Plan(
        candidates=("int8",),
        baseline="auto",
        control=None,
        conditions={"engine": "transformers"},
        cases=(PlannedCase(recipe="int8", **asdict(case(0))),),
        gates=(PlannedGate(expression="pass@1 drop <= 2pt", recipe="int*", require_proof=True, reason="as agreed"),),
        allow_missing=True,
    ),
    RunResumed(at="2026-01-31T10:20:00+00:00", records=3, earlier_s=60.5, cut=("int8",), changed=("costs.threads: 2",)),
    RunEnd(duration_s=12.5),
    record("int8", 0, "+-"),
    PERTURBED,
    replace(INT8, layers=(LAYER,), calibration={"source": "stdlib", "duration_s": 2.5}, notes=("a note",)),
    generation("int8", tokens=100, busy_s=1.0, energy_wh=0.1),
    StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.03)),
    TimelineFacts(worker="main", begun_s=4.5, bucket_s=0.5, phases={"decode": (0.5, 0.25)}, new_tokens=(9, 4), cases=1),
    timing("int8", [0.02, 0.03]),
    problems("int8", [0.02, 0.03]),
    BlockEnergyFacts(
        recipe="int8",
        workload=WORKLOADS["decode-1"],
        energies=(EnergyFacts(energy_wh=0.1, emissions_g=0.05, provenance="measured", method="a counter"),),
    ),
    SensitivityFacts(
        recipe="int8",
        texts=1,
        tokens=9,
        duration_s=1.0,
        blocks=(BlockSensitivity(name="b0", layers=7, kl=0.1, same_top1=0.9),),
    ),
    memory(),
    BudgetFacts(recipe="int8", budget_bytes=16_000_000_000, predicted=prediction()),
    DivergenceFacts(
        recipe="int8",
        baseline="auto",
        benchmark="micro",
        k=32,
        problems=(PROBLEM,),
        kl_percentiles={"p50": 0.03},
        delta_p_percentiles={"p50": -0.1},
        duration_s=0.5,
        incomparable=0,
    ),
    BaselineScores(recipe="int8", benchmark="micro", k=32, texts=(TEXT,), incomparable=(), duration_s=1.0),
    GateDecision(
        gate="pass@1 >= 0",
        recipe="int8",
        benchmark="micro",
        outcome="pass",
        evidence="not worse",
        reason="sure",
    ),
    BenchmarkFacts(name="micro", version="1", sha256="0" * 64, problems=89, excluded={"micro/9": "no plain value"}),
    PerturbationFacts(
        benchmark="micro",
        name="butter_fingers",
        category="docstring",
        level="character",
        form="full",
        seeds=1,
        applied=2,
        unchanged=0,
        repeated=0,
        invalid=0,
        reasons={},
    ),
    InvalidCase(benchmark="micro", task_id="micro/0", perturbation="mine", seed=0, reason="it does not pass"),
)
"""At least one of every type."""


def change(row: Any, path: Sequence[str | int], value: object) -> None:
    """Replace what stands at a path."""
    for step in path[:-1]:
        row = row[step]
    row[path[-1]] = value
