"""A baseline made by hand, with a message of every type that one can have."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.facts import BlockSensitivity, SensitivityFacts, StreamFacts
from pytest_qeval.measure.topk import TextScores
from pytest_qeval.records.messages import BaselineScores, RecipeMessage
from pytest_qeval.verdict.baseline.baseline import Baseline
from tests.unit.records.rows import LAYER
from tests.unit.summary.builders import BASELINE, HEADER, generation, record

SCORES = BaselineScores(
    recipe="auto",
    benchmark="micro",
    k=2,
    texts=(
        TextScores(
            task_id="micro/0",
            tokens_sha256="0" * 64,
            choices=(4, 7),
            top_ids=((4, 5), (7, 8)),
            top_log_probs=((-0.1, -3.0), (-0.2, -2.0)),
            tail_log_probs=(-4.0, -5.0),
            reference_log_probs=(-0.1, -2.0),
        ),
    ),
    incomparable=("micro/1",),
    duration_s=1.0,
)
MESSAGES: tuple[RecipeMessage, ...] = (
    replace(BASELINE, load_s=1.0, layers=(LAYER,), calibration={"duration_s": 2.0}, quantized_layers=1),
    *(record("auto", number, outcome) for number, outcome in enumerate("+-t+")),
    generation("auto", tokens=100, busy_s=2.0, energy_wh=0.4),
    StreamFacts(recipe="auto", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.03)),
    SensitivityFacts(
        recipe="auto",
        texts=1,
        tokens=9,
        duration_s=1.0,
        blocks=(BlockSensitivity(name="b0", layers=7, kl=0.1, same_top1=0.9),),
    ),
    SCORES,
)
KEY = {"generation.max_new_tokens": 512, "model.weights_sha256": "00", "dtype": None, "execution.timeout_s": 5.0}
SAVED = Baseline(recipe="auto", key=KEY, run=HEADER, messages=MESSAGES)
