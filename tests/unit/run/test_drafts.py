"""Which completions are drafted from the baseline's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.run.context import RunContext
from pytest_qeval.schema import Case
from pytest_qeval.settings import CONTROL, ModelSettings
from tests.unit.summary.builders import record

DONE, OPEN = (record("bf16", number, "+") for number in (0, 1))


@pytest.mark.parametrize(
    ("drafts", "recipe", "texts"),
    [
        (True, "int8", tuple(sample.completion.text for sample in DONE.samples)),
        (True, CONTROL, ()),
        (True, "bf16", ()),
        (False, "int8", ()),
    ],
    ids=["candidate", "control", "baseline", "not asked for"],
)
def test_candidates_alone_are_drafted(*, drafts: bool, recipe: str, texts: tuple[str, ...]) -> None:
    """The control shows what differs without a change; a case that this process has no completion of has no draft."""
    settings = RunSettings(
        model=ModelSettings(name="org/name"), candidates=("int8",), baseline="bf16", baseline_drafts=drafts
    )
    context = RunContext(settings)
    context.outcomes["bf16", DONE.case] = DONE
    unused: Any = SimpleNamespace(submit=None)
    context.pool = unused
    try:
        evaluator = context._evaluator(recipe, unused, lambda: None)
        assert evaluator.expected(DONE.case) == texts
        assert evaluator.expected(OPEN.case) == ()
        assert context.open(recipe).drafted == bool(texts)
    finally:
        context.close()


def test_a_case_of_another_benchmark_has_no_draft() -> None:
    settings = RunSettings(
        model=ModelSettings(name="org/name"), candidates=("int8",), baseline="bf16", baseline_drafts=True
    )
    context = RunContext(settings)
    context.outcomes["bf16", DONE.case] = DONE
    assert context._baseline_texts(Case(benchmark="another", task_id=DONE.case.task_id)) == ()
