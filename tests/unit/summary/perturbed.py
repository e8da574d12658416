"""Small robustness sessions, written as one letter a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pytest_qeval.facts import PerturbationFacts
from pytest_qeval.schema import HALF_LABEL, Case, Record
from pytest_qeval.summary.summarize import SummaryInput
from tests.unit.summary.builders import record, session

Outcomes = Mapping[str, Sequence[str]]
"""By perturbation (empty for nominal), one text a seed: + passed, - failed, blank lost, . not planned."""


def perturbed(number: int, perturbation: str | None = None, seed: int = 0) -> Case:
    half = perturbation == HALF_LABEL
    name = None if half else perturbation
    return Case(benchmark="micro", task_id=f"micro/{number}", perturbation=name, seed=seed, half=half)


def facts(name: str, category: str, *, form: Literal["full", "half"] = "full", seeds: int = 1) -> PerturbationFacts:
    return PerturbationFacts(
        benchmark="micro", name=name, category=category, level="word", form=form, seeds=seeds, applied=12, unchanged=2,
        repeated=1, invalid=0, reasons={},
    )  # fmt: skip


TYPOS, WORDS = facts("typos", "docstring", seeds=3), facts("words", "docstring")
TABS = facts("tabs", "format", form="half")


def outcomes_of(recipe: str, outcomes: Outcomes) -> list[tuple[Case, Record | None]]:
    """Return the planned cases with their records, None for a lost one."""
    planned: list[tuple[Case, Record | None]] = []
    for name, seeds in outcomes.items():
        for seed, letters in enumerate(seeds):
            for number, letter in enumerate(letters):
                case = perturbed(number, name or None, seed)
                if letter == " ":
                    planned.append((case, None))
                elif letter != ".":
                    perturbation = f"+{name}" if name else ""
                    made = replace(record(recipe, number, letter), case=case, prompt_diff=perturbation)
                    planned.append((case, made))
    return planned


def robust_session(
    baseline: Outcomes, candidate: Outcomes, perturbations: Sequence[PerturbationFacts] = (TYPOS,)
) -> SummaryInput:
    """Make a session of two recipes."""
    cases = {name: outcomes_of(name, outcomes) for name, outcomes in (("auto", baseline), ("int8", candidate))}
    return replace(
        session("", ""),
        planned=[(name, case) for name, rows in cases.items() for case, _ in rows],
        records=[made for rows in cases.values() for _, made in rows if made],
        benchmarks={"micro": {"version": "1", "sha256": "0" * 64, "problems": 12}},
        perturbations={("micro", one.name): one for one in perturbations},
    )


NOMINAL = "++++++++++--"
BASE: Outcomes = {"": [NOMINAL], "typos": ["+++++++++-+-", "++++++++++--", "++++++++++--"]}
"""Ten of twelve are solved nominally, nine of them under all typos; one is lost and one gained."""
OWN: Outcomes = {"": [NOMINAL], "typos": ["++++++++--+-", "-+++++++++--", "++++++++++--"]}
"""Three are lost: micro/0, micro/8 and micro/9."""
