"""A run stops early when the last gate on a candidate and a benchmark is decided, and not before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qeval.facts import GateDecision
from pytest_qeval.schema import Case, Record
from pytest_qeval.verdict.gates.decider import Decider, is_decidable, needs_everything
from pytest_qeval.verdict.gates.grammar import Gate, parse_gate
from tests.unit.summary.builders import case, record

Decisions = list[tuple[int, list[GateDecision]]]


def decisions(decider: Decider, base: str, own: str, *, recipe: str = "int8") -> Decisions:
    """Let a candidate finish one case after the other; return what was decided, and after how many."""
    cases = [case(number) for number in range(len(base))]
    outcomes = {("auto", one): record("auto", number, base[number]) for number, one in enumerate(cases)}
    found = []
    for number, one in enumerate(cases[: len(own)]):
        outcomes[recipe, one] = record(recipe, number, own[number])
        made = list(decider.decide(recipe, "micro", cases, outcomes))
        if made:
            found.append((number + 1, made))
    return found


def decider_of(*expressions: str, baseline: str | None = "auto", require_proof: bool = False) -> Decider:
    gates = [parse_gate(expression) for expression in expressions]
    return Decider(gates, baseline=baseline, require_proof=require_proof)


def only(found: Decisions) -> tuple[int, GateDecision]:
    ((done, (decision,)),) = found
    return done, decision


@pytest.mark.parametrize(
    ("expression", "decidable", "everything"),
    [
        ("pass@1 drop <= 2pt", True, False),
        ("pass@1 drop <= 2%", True, False),
        ("micro:pass@1 >= 0.5", True, False),
        ("regressed <= 0", True, False),
        ("pass@10 >= 0.5", False, True),
        ("bleu drop <= 1pt", False, True),
        ("energy ratio <= 1 rough", False, True),
        ("throughput > 1 rough", False, True),
        ("model_bytes ratio <= 0.5", False, False),
        ("single_stream ratio <= 1", False, False),
        ("kl <= 0.05", False, False),
    ],
)
def test_what_can_be_decided_and_what_needs_everything(expression: str, *, decidable: bool, everything: bool) -> None:
    """Solved problems can; costs of generating need all of it; what is known without a case is neither."""
    gate = parse_gate(expression)

    assert (is_decidable(gate), needs_everything(gate)) == (decidable, everything)


def test_a_gate_is_settled_when_the_rest_cannot_change_it() -> None:
    """One regression is too many: known with the first."""
    done, decision = only(decisions(decider_of("regressed <= 0"), "++++", "+-"))

    assert done == 2
    assert decision == GateDecision(
        gate="regressed <= 0",
        recipe="int8",
        benchmark="micro",
        outcome="fail",
        evidence="unproven",
        reason="broken whatever the others bring, after 2 of 4 problems",
    )


def test_a_gate_that_is_kept_is_settled_too() -> None:
    """Half of the problems are solved, and the other half cannot take that back."""
    done, decision = only(decisions(decider_of("pass@1 >= 0.5"), "----", "++-"))

    assert (done, decision.outcome) == (2, "pass")
    assert decision.reason == "kept whatever the others bring, after 2 of 4 problems"


@pytest.mark.parametrize(
    ("base", "own", "expression", "outcome", "evidence"),
    [
        ("+" * 24, "+" * 24, "pass@1 drop <= 45pt", "pass", "not worse"),
        ("+-" * 40, "-" * 80, "pass@1 drop <= 10pt", "fail", "worse"),
    ],
)
def test_evidence_decides_where_nothing_is_settled_yet(
    base: str, own: str, expression: str, outcome: str, evidence: str
) -> None:
    """At one of the looks that were fixed before, and the reason says how it was proven."""
    done, decision = only(decisions(decider_of(expression), base, own))

    assert done < len(base)
    assert done % (len(base) // 8) == 0
    assert (decision.outcome, decision.evidence) == (outcome, evidence)
    assert decision.reason == (
        f"proven {evidence} by a sequential test that errs in at most 5 % of runs, after {done} of {len(base)} problems"
    )


@pytest.mark.parametrize("expression", ["pass@1 drop <= 40%", "pass@1 drop >= 40pt"])
def test_evidence_is_about_points_that_may_be_lost_at_most(expression: str) -> None:
    """The sequential test has no word on a share of the baseline, nor on what has to be lost."""
    found = decisions(decider_of(expression), "+" * 24, "+" * 12)

    assert found == []


def test_several_samples_prove_nothing_early() -> None:
    """The sequential test counts problems that are solved or not; rates between are left to the end."""
    found = decisions(decider_of("pass@1 drop <= 45pt"), "+" * 24, "+" * 24)
    cases = [case(number) for number in range(24)]
    outcomes = {("auto", one): record("auto", n, "++") for n, one in enumerate(cases)}
    outcomes |= {("int8", one): record("int8", n, "++" if n else "+-") for n, one in enumerate(cases[:12])}

    assert [done for done, _ in found] == [12]
    assert list(decider_of("pass@1 drop <= 45pt").decide("int8", "micro", cases, outcomes)) == []


def test_all_gates_have_to_be_decided() -> None:
    """They are yielded together, when the last one is made, each with its own reason."""
    decider = decider_of("regressed <= 0", "pass@1 >= 0.5")
    ((done, made),) = decisions(decider, "++++++", "-+++++")

    assert done == 4
    assert [(row.gate, row.outcome) for row in made] == [("regressed <= 0", "fail"), ("pass@1 >= 0.5", "pass")]
    assert made[0].reason.endswith("after 1 of 6 problems")
    assert decider.early_stop_reason("int8", "micro") == "; ".join(row.reason for row in made)


def test_until_then_the_candidate_is_run() -> None:
    """And so are other candidates, on other benchmarks."""
    decider = decider_of("regressed <= 0", "pass@1 >= 0.5")
    decisions(decider, "++++++", "-+")

    assert decider.early_stop_reason("int8", "micro") == ""
    decisions(decider, "++++++", "-+++")
    assert decider.early_stop_reason("int8", "micro")
    for recipe, benchmark in (("int8", "humaneval"), ("w4a16", "micro"), (None, "")):
        assert decider.early_stop_reason(recipe, benchmark) == ""


@pytest.mark.parametrize("expression", ["pass@1 drop <= 2pt", "pass@1 drop <= 2%", "regressed <= 0"])
def test_nothing_is_decided_against_a_baseline_that_solves_nothing(expression: str) -> None:
    """The gate is broken at the end, since nothing could be lost; stopping early would have kept it."""
    assert decisions(decider_of(expression), "-" * 200, "-" * 199) == []


def test_a_decision_is_made_once() -> None:
    """A case that is finished all the same, such as one that was already in the batch, decides nothing again."""
    assert len(decisions(decider_of("regressed <= 0"), "++++", "----")) == 1


@pytest.mark.parametrize(
    "gate",
    [parse_gate("humaneval:regressed <= 0"), replace(parse_gate("regressed <= 0"), recipe="w4*")],
    ids=["of another benchmark", "of another recipe"],
)
def test_gates_on_others_do_not_count(gate: Gate) -> None:
    """Where no gate is about a candidate on a benchmark, all its cases are run."""
    assert decisions(Decider([gate], baseline="auto", require_proof=False), "++++", "----") == []


def test_nothing_is_decided_with_the_last_case() -> None:
    """That is the ordinary end, which the interval judges."""
    assert decisions(decider_of("pass@1 >= 0.5"), "++", "-+") == []


def test_without_all_of_the_baseline_nothing_is_decided() -> None:
    """What the baseline lacks may have been solved, or not."""
    cases = [case(0), case(1), case(2)]
    outcomes: dict[tuple[str, Case], Record] = {
        ("auto", case(0)): record("auto", 0, "+"),
        ("auto", case(1)): record("auto", 1, "+"),
        ("int8", case(0)): record("int8", 0, "-"),
    }

    assert list(decider_of("regressed <= 0").decide("int8", "micro", cases, outcomes)) == []
    outcomes["auto", case(2)] = record("auto", 2, "-")
    assert len(list(decider_of("regressed <= 0").decide("int8", "micro", cases, outcomes))) == 1


def test_a_value_can_be_decided_without_a_baseline() -> None:
    """`pass@1 >= 0.5` compares with nothing."""
    cases = [case(number) for number in range(4)]
    outcomes = {("int8", one): record("int8", number, "+") for number, one in enumerate(cases[:2])}

    assert len(list(decider_of("pass@1 >= 0.5", baseline=None).decide("int8", "micro", cases, outcomes))) == 1


def test_what_has_to_be_proven_is_not_settled_by_counting() -> None:
    """Under --qeval-require-proof only evidence keeps a gate early."""
    _, (counted,) = decisions(decider_of("pass@1 drop <= 55pt"), "+" * 24, "+" * 23)[0]
    proven = decisions(decider_of("pass@1 drop <= 55pt", require_proof=True), "+" * 24, "+" * 23)

    assert counted.evidence == "unproven"
    assert [row.evidence for _, (row,) in proven] == ["not worse"]


@given(
    pairs=st.lists(st.tuples(st.sampled_from("+-"), st.sampled_from("+-")), min_size=2, max_size=30),
    expression=st.sampled_from(["pass@1 drop <= 10pt", "regressed <= 1", "pass@1 >= 0.4", "pass@1 drop <= 20%"]),
)
def test_what_is_settled_is_how_the_run_would_have_ended(pairs: list[tuple[str, str]], expression: str) -> None:
    """Whatever comes after a decision that is no matter of evidence, the gate ends as it was decided."""
    base, own = ("".join(letters) for letters in zip(*pairs, strict=True))
    gate = parse_gate(expression)
    for _, (decision,) in decisions(decider_of(expression), base, own):
        if decision.reason.startswith("proven"):
            continue
        lost = sum(pair == ("+", "-") for pair in pairs)
        solved, rate = base.count("+"), own.count("+") / len(own)
        observed = {
            "regressed <= 1": lost,
            "pass@1 >= 0.4": rate,
            "pass@1 drop <= 10pt": solved / len(base) - rate,
            "pass@1 drop <= 20%": 1 - rate * len(base) / solved if solved else 0.0,
        }[expression]
        assert gate.holds(observed) == (decision.outcome == "pass")


def test_an_unsupported_case_decides_nothing() -> None:
    """Neither the candidate's, which is as if it were not finished, nor the baseline's."""
    assert decisions(decider_of("pass@1 >= 0.5", baseline=None), "++++", "??") == []
    assert decisions(decider_of("regressed <= 0"), "+++?", "---") == []


@pytest.mark.parametrize(("sources", "decides"), [(200, True), (20, False)])
def test_problems_that_share_a_source_are_not_tested_one_by_one(sources: int, *, decides: bool) -> None:
    """The sequential test takes them for independent, which proves too much too soon."""
    decider = Decider(
        [parse_gate("pass@1 drop <= 16pt")],
        baseline="auto",
        require_proof=True,
        clusters=lambda one: str(int(one.task_id.partition("/")[2]) % sources),
    )

    assert bool(decisions(decider, "+-" * 100, "+-" * 80)) == decides
