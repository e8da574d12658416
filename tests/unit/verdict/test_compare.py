"""Two finished runs are joined as if the baseline of one had been saved and used by the other."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.facts import BenchmarkFacts, GateDecision, InvalidCase, StreamFacts
from pytest_qeval.records.journal import Journal
from pytest_qeval.records.messages import Message, Plan, PlannedCase, RunStart
from pytest_qeval.verdict.compare import FinishedRun, JoinedRuns, join_runs
from tests.unit.summary.builders import BASELINE, HEADER, INT8, case, divergence, generation, record

CONDITIONS = {"engine": "transformers", "costs.workers": 1}
RUN = RunStart(**asdict(HEADER), planned=4)
DECISION = GateDecision(
    gate="regressed <= 0", recipe="int8", benchmark="micro", outcome="pass", evidence="unproven", reason="kept"
)


DEPENDENT = (replace(BASELINE, batch_size=8, batch_dependence="kernels of cuda"), replace(INT8, batch_size=8))


def finished(*messages: Message, own: str = "+-", base: str = "++", conditions: object = None) -> FinishedRun:
    """Make a run of int8 beside its baseline, from one letter a case."""
    outcomes = {"auto": base, "int8": own}
    plan = Plan(
        candidates=("int8",),
        baseline="auto",
        control=None,
        conditions={**CONDITIONS, **(conditions if isinstance(conditions, dict) else {})},
        cases=tuple(PlannedCase(recipe=name, **asdict(case(n))) for name in outcomes for n in range(2)),
    )
    records = (record(name, n, letter) for name, letters in outcomes.items() for n, letter in enumerate(letters))
    cost = generation("auto", tokens=10, busy_s=1.0, energy_wh=None)
    benchmark = BenchmarkFacts(name="micro", version="1", sha256="ab", problems=2)
    everything: tuple[Message, ...] = (plan, benchmark, BASELINE, INT8, *records, cost, *messages)
    return FinishedRun(path=Path("run.jsonl"), run=RUN, plan=plan, messages=everything)


def join(before: FinishedRun, after: FinishedRun, *, force: bool = False) -> JoinedRuns:
    return join_runs(before, after, force=force)


def test_the_candidates_of_one_run_meet_the_baseline_of_the_other() -> None:
    """Records, costs and roles; the report says where the baseline is from."""
    joined = join(finished(base="+-"), finished(own="-+"))

    assert (joined.roles.baseline, joined.roles.candidates) == ("auto", ("int8",))
    outcomes = {(name, one.task_id): found.outcome for (name, one), found in joined.collector.records.items()}
    assert outcomes == {
        ("auto", "micro/0"): "solved",
        ("auto", "micro/1"): "unsolved",
        ("int8", "micro/0"): "unsolved",
        ("int8", "micro/1"): "solved",
    }
    assert [one.recipe for one in joined.collector.generation] == ["auto"]
    assert joined.run.saved_baseline is not None
    assert joined.run.saved_baseline["path"] == "run.jsonl"


@pytest.mark.parametrize(
    "before",
    [finished(conditions={"costs.workers": 2}), finished(base="+")],
    ids=["another machine", "fewer cases"],
)
def test_costs_are_compared_only_under_the_same_conditions(before: FinishedRun) -> None:
    """Of just these cases."""
    assert join(before, finished()).collector.generation == []


def test_other_conditions_are_refused_or_accepted() -> None:
    """The report lists what was accepted."""
    before = finished(conditions={"engine": "another"})

    with pytest.raises(UsageError, match=r"A \(run\.jsonl\) and B .*: engine: another in A, transformers in B\."):
        join(before, finished())
    origin = join(before, finished(), force=True).run.saved_baseline
    assert origin is not None
    assert origin["accepted_differences"] == ["engine: another in A, transformers in B"]


def test_runs_that_state_other_clusters_are_refused() -> None:
    """The interval would be about those of one run only."""
    mine = BenchmarkFacts(name="micro", version="1", sha256="ab", problems=2, clusters={"micro/0": "a", "micro/1": "a"})

    assert join(finished(mine), finished(mine)).run.saved_baseline is not None
    with pytest.raises(UsageError, match=r"clusters\.micro \(which problems share a source is stated otherwise"):
        join(finished(), finished(mine))


def test_runs_of_other_batches_are_refused_where_completions_depend_on_them() -> None:
    """As a saved baseline is."""
    wide, narrow = (finished(*DEPENDENT, conditions={"costs.threads": threads}) for threads in (2, 1))

    assert join(wide, wide).run.saved_baseline is not None
    with pytest.raises(UsageError, match=r"other conditions: batch\.threads: 2 in A, 1 in B"):
        join(wide, narrow)
    with pytest.raises(UsageError, match=r"other conditions: batch\.size: 8 in A, 4 in B"):
        join(wide, finished(replace(INT8, batch_size=4), conditions={"costs.threads": 2}))


def test_only_the_batches_of_the_baseline_count() -> None:
    """Not those of a candidate, or of the baseline that the candidate had in its own run."""
    invariant = finished(replace(BASELINE, batch_size=8), conditions={"costs.threads": 2})
    dependent = finished(*DEPENDENT, replace(INT8, batch_size=8, batch_dependence="one scale of all rows"))

    assert join(invariant, dependent).run.saved_baseline is not None
    assert join(finished(), dependent).run.saved_baseline is not None


def test_a_recipe_is_compared_with_itself_under_another_name() -> None:
    """Two runs of one recipe alone."""
    alone = replace(finished().plan, baseline=None)
    before = replace(finished(), plan=alone)
    joined = join(before, replace(finished(), plan=alone))

    assert (joined.roles.baseline, joined.roles.candidates) == ("int8 (before)", ("int8",))
    assert joined.collector.recipes["int8 (before)"].role == "baseline"


def test_several_recipes_without_a_baseline_cannot_be_compared_with() -> None:
    """Nothing says which of them."""
    before = replace(finished(), plan=replace(finished().plan, baseline=None, candidates=("int8", "auto")))

    with pytest.raises(DataError, match=r"several recipes \(int8, auto\) and no baseline"):
        join(before, finished())


def test_a_decision_holds_against_the_same_results_only() -> None:
    """It was made against the run's own baseline."""
    assert list(join(finished(), finished(DECISION)).collector.decisions) == [("regressed <= 0", "int8", "micro")]
    joined = join(finished(base="+-"), finished(DECISION)).collector

    assert not joined.decisions
    assert joined.stops == {("int8", "micro"): "kept"}  # its intervals stay withheld


def test_a_divergence_is_from_a_baseline_of_the_same_name() -> None:
    """And gets the name that the baseline has here."""
    measured = divergence().facts
    other = replace(finished().plan, baseline="bf16")

    assert join(finished(), finished(measured)).collector.divergence == {"int8": measured}
    assert not join(replace(finished(), plan=other), finished(measured)).collector.divergence


def test_a_divergence_is_from_the_same_model() -> None:
    """The baseline of a checkpoint as it is may be any; a divergence from another one says nothing about it."""
    measured = replace(divergence().facts, recipe="as-is")
    another, one = (finished(measured, conditions={"model.weights_sha256": sha256}) for sha256 in ("22", "11"))
    run = replace(one, plan=replace(one.plan, candidates=("as-is",)))

    assert join(one, run).collector.divergence == {"as-is": measured}
    assert not join(another, run).collector.divergence


def test_a_case_that_is_invalid_in_either_run_is_invalid() -> None:
    """Where the later run has it."""
    first, second, other = (replace(case(number), perturbation="butter_fingers") for number in (0, 1, 9))
    there, elsewhere = InvalidCase(**asdict(first), reason="there"), InvalidCase(**asdict(other), reason="elsewhere")
    here = InvalidCase(**asdict(second), reason="here")

    def planned(run: FinishedRun) -> FinishedRun:
        perturbed = (PlannedCase(recipe="int8", **asdict(one)) for one in (first, second))
        return replace(run, plan=replace(run.plan, cases=(*run.plan.cases, *perturbed)))

    joined = join(planned(finished(there, elsewhere)), planned(finished(here)))
    assert joined.collector.invalid == {first: "there", second: "here"}


@pytest.mark.parametrize(
    ("run", "sentence"),
    [(RUN, "holds no plan of its cases"), (replace(RUN, model={"id": "x", "source": "self-test"}), "is a self-test")],
    ids=["no plan", "a self-test"],
)
def test_a_journal_without_a_plan_is_refused(tmp_path: Path, run: RunStart, sentence: str) -> None:
    """Without it nobody knows what is missing; a self-test evaluates no model."""
    journal = Journal(tmp_path / "records.jsonl")
    journal.write(run)
    journal.write(BASELINE)
    journal.close()

    with pytest.raises(DataError, match=sentence):
        FinishedRun.read(tmp_path / "records.jsonl")


def test_cases_of_the_earlier_run_alone_are_counted() -> None:
    """They take part in nothing."""
    more = finished(record("auto", 7, "+"))

    assert (join(more, finished()).left_out, join(finished(), finished()).left_out) == (1, 0)


def test_a_single_stream_of_the_earlier_run_alone_is_not_taken() -> None:
    """There is nothing to compare it with."""
    stream = StreamFacts(recipe="auto", prompt_tokens=8, new_tokens=2, prefill_s=(0.1,), decode_s=(0.02, 0.03))
    before = finished(stream)

    assert join(before, finished()).collector.streams == []
    assert join(before, finished(replace(stream, recipe="int8"))).collector.streams != []
