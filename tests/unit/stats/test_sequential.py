from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qeval.schema import Evidence
from pytest_qeval.stats.paired import PairedCounts, difference, evidence_of
from pytest_qeval.stats.sequential import MIN_DONE, N_LOOKS, is_look, look_confidence, sequential_evidence


def counts(done: int, *, fixed: int = 0, regressed: int = 0) -> PairedCounts:
    return PairedCounts(both=done - fixed - regressed, regressed=regressed, fixed=fixed, neither=0)


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_looks_are_few_and_the_last_is_the_end(planned: int) -> None:
    """There are at most N_LOOKS looks, none early below MIN_DONE, and the end is always one."""
    looks = [done for done in range(planned + 1) if is_look(done, planned)]

    assert len(looks) <= N_LOOKS
    assert looks[-1] == planned
    assert all(done >= MIN_DONE for done in looks[:-1])


def test_looks_of_humaneval() -> None:
    """Eighths of 164, rounded up."""
    assert [done for done in range(165) if is_look(done, 164)] == [21, 41, 62, 82, 103, 123, 144, 164]


def test_early_looks_together_err_as_often_as_the_last() -> None:
    """The levels of the seven early looks add up to the level of the end."""
    early = sum(1 - look_confidence(done, 164) for done in range(164) if is_look(done, 164))

    assert early == pytest.approx(1 - look_confidence(164, 164))


def test_between_looks_nothing_is_proven() -> None:
    """Even the plainest loss waits for the next look."""
    assert sequential_evidence(counts(40, regressed=40), planned=164, margin=0.02) == "unproven"
    assert sequential_evidence(counts(41, regressed=40), planned=164, margin=0.02) == "worse"


def test_a_look_asks_for_more_than_the_end() -> None:
    """What would do at the end of a run of 82 does not do half-way through one of 164."""
    found = counts(82, regressed=10, fixed=1)

    assert sequential_evidence(found, planned=82, margin=0.02) == "worse"
    assert sequential_evidence(found, planned=164, margin=0.02) == "unproven"


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(60, 200), st.sampled_from([0.02, 0.05, 0.1]))
def test_the_last_look_is_the_ordinary_evidence(fixed: int, regressed: int, planned: int, margin: float) -> None:
    """At the end it is the evidence of a run without looks."""
    found = counts(planned, fixed=fixed, regressed=regressed)

    assert sequential_evidence(found, planned=planned, margin=margin) == evidence_of(difference(found), margin=margin)


def test_more_than_planned_is_refused() -> None:
    """The error rate holds for looks that were planned."""
    with pytest.raises(ValueError, match="165 problems are done, but only 164 were planned"):
        sequential_evidence(counts(165), planned=164, margin=0.02)


@pytest.mark.parametrize(("drop", "wrong"), [(0.04, "worse"), (0.1, "not worse")])
def test_wrong_evidence_stays_within_its_error_rate(drop: float, wrong: Evidence) -> None:
    """With the true drop at the margin, the hardest case, a run of 80 ends with wrong evidence in at most 5 %."""
    looks = [done for done in range(81) if is_look(done, 80)]

    @cache
    def evidence(done: int, fixed: int, regressed: int) -> Evidence:
        return sequential_evidence(counts(done, fixed=fixed, regressed=regressed), planned=80, margin=drop)

    outcomes = np.random.default_rng(0).choice(3, size=(2000, 80), p=[(0.12 - drop) / 2, (0.12 + drop) / 2, 0.88])
    fixed, regressed = ((outcomes == kind).cumsum(axis=1)[:, np.array(looks) - 1].tolist() for kind in (0, 1))
    words = [
        next((word for look in zip(looks, *run, strict=True) if (word := evidence(*look)) != "unproven"), "unproven")
        for run in zip(fixed, regressed, strict=True)
    ]

    assert 0.005 < words.count(wrong) / len(words) <= 0.05
