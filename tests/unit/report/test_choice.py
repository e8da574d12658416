"""Which recipe to take: dominance as observed, and a pick by the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_qeval.facts import StreamFacts
from pytest_qeval.report.choice import Option, Pick, options_of, pick
from pytest_qeval.schema import Case
from pytest_qeval.summary.results import GateResult
from pytest_qeval.summary.summarize import SummaryInput, summarize
from tests.unit.report.test_sentences import BROKEN
from tests.unit.summary.builders import INT8, record, session, simulating

SMALL = replace(INT8, name="small", model_bytes=1000)


def with_small(found: SummaryInput, outcomes: str) -> SummaryInput:
    """Add a recipe with smaller weights."""
    cases = [record("small", number, letter) for number, letter in enumerate(outcomes)]
    return replace(
        found,
        planned=[*found.planned, *(("small", one.case) for one in cases)],
        records=[*found.records, *cases],
        candidates=("int8", "small"),
        recipes={**found.recipes, "small": SMALL},
    )


def chosen(found: SummaryInput, gates: Sequence[GateResult] = ()) -> tuple[dict[str, Option], Pick | None]:
    summary = summarize(found)
    options = options_of(summary, gates)
    return {one.recipe: one for one in options}, pick(summary, gates, options)


def test_the_smallest_fit_one_is_picked() -> None:
    options, found = chosen(with_small(session("++++-", "++++-"), "++++-"))

    assert found
    assert found.recipe == "small"
    assert "1 kB, 25% of the baseline's" in found.reason
    assert not found.is_proven
    assert options["int8"].dominated_by == ()  # nothing is known of the other one's energy


def test_a_recipe_is_dominated_by_one_that_is_nowhere_worse() -> None:
    """As much solved, no larger, no slower, no more energy; and better in one of them."""
    found = with_small(session("++++-", "++++-"), "++++-")
    options, _ = chosen(replace(found, generation=found.generation[:1]))

    assert options["int8"].dominated_by == ("small",)
    assert options["small"].dominated_by == ()
    assert options["auto"].dominated_by == ()  # it alone has a known energy


def test_what_solves_less_dominates_nothing() -> None:
    found = with_small(session("++++-", "++++-"), "+++--")
    options, _ = chosen(replace(found, generation=()))

    assert options["int8"].dominated_by == ()


def test_a_broken_gate_or_a_proven_loss_is_out_of_the_question() -> None:
    many = "+" * 40
    options, found = chosen(with_small(session(many, many), "-" * 40), [BROKEN])

    assert {name: one.refused for name, one in options.items()} == {
        "auto": "",
        "int8": "breaks a gate",
        "small": "proven worse",
    }
    assert found == Pick(recipe=None, reason="Keep the baseline: int8 breaks a gate; small is proven worse.")


def test_a_simulated_recipe_is_not_picked() -> None:
    """Nothing is known of its speed; its bytes are its own."""
    found = simulating(session("++", "++"), "int8")
    stream = StreamFacts(recipe="int8", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02,))
    options, no_pick = chosen(replace(found, streams=[stream]))

    assert (options["int8"].ms_per_token, options["int8"].energy_wh, options["int8"].model_bytes) == (None, None, 1500)
    assert no_pick
    assert no_pick.recipe is None


def test_slower_is_said() -> None:
    streams = [
        StreamFacts(recipe=name, prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(seconds,))
        for name, seconds in (("auto", 0.01), ("int8", 0.02))
    ]
    _, found = chosen(replace(session("++", "++"), streams=streams))

    assert found
    assert found.reason.endswith("but one request is slower, 20 ms a token against 10.")


def test_without_a_baseline_there_is_no_pick() -> None:
    found = session("++", "++")
    alone = replace(found, baseline=None, recipes={"int8": INT8}, planned=[("int8", Case(benchmark="b", task_id="t"))])

    assert chosen(alone)[1] is None
