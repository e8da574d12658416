"""Journals and baselines that version 0.1 wrote stay readable."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from pytest_qeval.records.journal import Journal, read_journal
from pytest_qeval.records.messages import PlannedCase, recipe_of, to_plain
from pytest_qeval.schema import Case, Record
from pytest_qeval.verdict.baseline.file import read_baseline, write_baseline
from pytest_qeval.verdict.compare import FinishedRun, join_runs
from pytest_qeval.verdict.conclude import conclude

DATA = Path(__file__).parent / "data"
JOURNAL = DATA / "records-0.1.jsonl"
BASELINE = DATA / "baseline-0.1.json.gz"
PERTURBED = Case(benchmark="micro", task_id="micro/0", perturbation="butter_fingers")


def test_every_line_of_a_journal_is_read() -> None:
    """None is taken for one of a newer version and left out."""
    run, messages = read_journal(JOURNAL)

    assert (run.model["id"], run.planned) == ("demo", 8)
    assert Counter(to_plain(message)["type"] for message in messages) == {
        "plan": 1,
        "benchmark": 1,
        "perturbation": 1,
        "recipe": 4,
        "generation": 4,
        "divergence": 1,
        "record": 8,
        "stream": 2,
        "sensitivity": 1,
    }


def test_the_diff_of_a_perturbed_prompt_has_its_new_name_and_words(tmp_path: Path) -> None:
    """Version 0.1 called it `disturbance`; what is written now is read the same."""
    run, messages = read_journal(JOURNAL)
    records = [message for message in messages if isinstance(message, Record)]
    diffs = [record.prompt_diff for record in records if record.case == PERTURBED]

    assert len(diffs) == 2
    assert all(diff.startswith("--- nominal\n+++ micro/0-butter_fingers-s0\n") for diff in diffs)
    assert {record.prompt_diff for record in records if not record.case.perturbation} == {""}
    journal = Journal(tmp_path / "records.jsonl")
    for message in (run, *messages):
        journal.write(message)
    journal.close()
    assert '"disturbance"' in JOURNAL.read_text(encoding="utf-8")
    assert '"disturbance"' not in (tmp_path / "records.jsonl").read_text(encoding="utf-8")
    assert read_journal(tmp_path / "records.jsonl") == (run, messages)


def test_an_old_run_and_a_new_one_are_compared(tmp_path: Path) -> None:
    """The perturbed cases of both are the same cases."""
    run, messages = read_journal(JOURNAL)
    journal = Journal(tmp_path / "records.jsonl")
    for message in (replace(run, id="new"), *messages):
        journal.write(message)
    journal.close()
    joined = join_runs(FinishedRun.read(JOURNAL), FinishedRun.read(tmp_path / "records.jsonl"), force=False)
    verdict = conclude(
        joined.collector,
        run=joined.run,
        duration_s=0.0,
        planned=joined.planned,
        roles=joined.roles,
        gates=(),
        require_proof=False,
    )

    assert (joined.roles.baseline, joined.roles.candidates) == ("auto", ("int8",))
    assert (verdict.summary.planned, verdict.summary.missing) == (8, 0)
    assert [comparison.baseline for comparison in verdict.summary.comparisons] == ["auto"]
    assert verdict.summary.robust_changes
    assert verdict.summary.efficiency["auto"].busy_s > 0


def test_a_saved_baseline_is_read(tmp_path: Path) -> None:
    """With records, costs and log-probabilities; written again it holds the same."""
    baseline = read_baseline(BASELINE)

    assert (baseline.recipe, len(baseline.records)) == ("auto", 4)
    assert baseline.records[PERTURBED].prompt_diff.startswith("--- nominal\n")
    assert {recipe_of(message) for message in baseline.messages} == {"auto"}
    assert Counter(to_plain(message)["type"] for message in baseline.messages) == {
        "recipe": 1,
        "scores": 1,
        "generation": 2,
        "record": 4,
        "stream": 1,
    }
    write_baseline(tmp_path / "b.json.gz", baseline)
    assert read_baseline(tmp_path / "b.json.gz") == baseline


def test_half_of_a_solution_was_a_perturbation() -> None:
    """Until it got a field of its own: the case is the same."""
    line = PlannedCase(recipe="int8", benchmark="micro", task_id="micro/0", perturbation="half_given", seed=0)

    assert line.case == Case(benchmark="micro", task_id="micro/0", half=True)
