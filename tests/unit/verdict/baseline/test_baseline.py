"""A baseline can be renamed, merged with a newer one, and go to another machine."""

from __future__ import annotations

from dataclasses import replace

from pytest_qeval.facts import GenerationFacts, RecipeFacts, StreamFacts
from pytest_qeval.records.messages import recipe_of
from pytest_qeval.schema import Record
from pytest_qeval.verdict.baseline.baseline import Baseline
from tests.unit.summary.builders import BASELINE, HEADER, case, generation, record
from tests.unit.verdict.baseline.baselines import KEY, MESSAGES, SAVED


def test_records_are_indexed_and_the_last_of_a_case_counts() -> None:
    """As in a session, where a repeated test replaces its record."""
    again = replace(SAVED, messages=(*MESSAGES, record("auto", 1, "+")))

    assert len(again.records) == 4
    assert again.records[case(1)].outcome == "solved"


def test_a_baseline_can_have_another_name() -> None:
    """In every message."""
    renamed = SAVED.renamed("auto (saved)")

    assert {recipe_of(message) for message in renamed.messages} == {"auto (saved)"}
    assert {found.recipe for found in renamed.records.values()} == {"auto (saved)"}
    assert renamed.renamed("auto") == SAVED


def test_a_newer_baseline_wins_and_keeps_what_it_lacks() -> None:
    """Records of other cases stay, as old as they are; the costs of records of two runs are unknown."""
    cost = generation("auto", tokens=7, busy_s=1.0, energy_wh=None)
    messages = (replace(BASELINE, summary="newer"), record("auto", 1, "+"), record("auto", 9, "-"), cost)
    newer = Baseline(recipe="auto", key={"engine": "other"}, run=replace(HEADER, id="newer"), messages=messages)

    merged = SAVED.merged(newer)

    assert (merged.key, merged.run.id) == ({**KEY, "engine": "other"}, "run")
    outcomes = {found.case.label: found.outcome for found in merged.records.values()}
    assert outcomes == {
        f"micro/{n}": o
        for n, o in zip([0, 1, 2, 3, 9], ["solved"] * 2 + ["unsolved", "solved", "unsolved"], strict=True)
    }
    assert [one.summary for one in merged.messages if isinstance(one, RecipeFacts)] == ["newer"]
    assert not [one for one in merged.messages if isinstance(one, GenerationFacts)]
    assert len([one for one in merged.messages if isinstance(one, StreamFacts)]) == 1


def test_records_of_data_that_changed_are_forgotten() -> None:
    """The same task ids may be other problems."""
    older = replace(SAVED, key={**KEY, "benchmarks.micro": "00"})
    newer = replace(SAVED, key={**KEY, "benchmarks.micro": "11"}, messages=(record("auto", 9, "-"),))

    assert older.merged(newer).records.keys() == {case(9)}


def test_a_baseline_merged_with_itself_stays_the_same() -> None:
    """A run that takes everything from a saved baseline adds nothing to it."""
    assert SAVED.merged(SAVED) == SAVED


def test_costs_of_records_that_were_all_made_again_are_forgotten() -> None:
    """Else every run would add to the costs of a case."""
    newer = replace(SAVED, messages=tuple(one for one in MESSAGES if isinstance(one, Record)))

    assert not any(isinstance(one, GenerationFacts) for one in SAVED.merged(newer).messages)


def test_another_machine_leaves_the_results() -> None:
    """Neither latencies nor the time of loading hold there; outcomes do."""
    bare = SAVED.without_costs()

    assert not any(isinstance(one, (GenerationFacts, StreamFacts)) for one in bare.messages)
    assert {found.outcome for found in bare.records.values()} == {"solved", "unsolved"}
    completions = [sample.completion for found in bare.records.values() for sample in found.samples]
    assert {(c.ttft_s, c.duration_s, c.n_tokens) for c in completions} == {(None, None, 11)}
    assert [one.load_s for one in bare.messages if isinstance(one, RecipeFacts)] == [None]


def test_a_saved_candidate_is_a_baseline() -> None:
    """Whatever it was in the run that saved it."""
    candidate = replace(SAVED, messages=(replace(BASELINE, role="candidate"), *MESSAGES[1:]))

    assert [one.role for one in candidate.in_baseline_role().messages if isinstance(one, RecipeFacts)] == ["baseline"]


def test_a_baseline_without_records_or_scores_has_no_results() -> None:
    """Such as one that was only loaded."""
    assert SAVED.has_results
    assert not replace(SAVED, messages=(BASELINE,)).has_results
