"""One line per benchmark before a run, and one of what they assume."""

from dataclasses import replace

from pytest_qeval.report.prospects import prospect_lines
from pytest_qeval.summary.pooled import POOL
from pytest_qeval.summary.power import Prospect

MICRO = Prospect(benchmark="micro", problems=164, sources=164, detectable=0.0687, margin=0.1, needed=None)


def lines(*prospects: Prospect) -> list[str]:
    return list(prospect_lines(prospects))


def test_lines_name_drops_and_their_assumptions_once() -> None:
    pool = replace(MICRO, benchmark=POOL, problems=1000, sources=500)

    assert lines(MICRO, pool) == [
        "micro: 164 problems can rule out a drop of more than 6.9 points",
        "all benchmarks together: 1000 problems from 500 sources can rule out a drop of more than 6.9 points",
        "(in 80 % of runs, if nothing is lost and 8 % of the problems flip)",
    ]
    assert lines() == []


def test_the_number_needed_has_three_digits() -> None:
    """The share of flips is a guess; fractions of a point are not rounded."""
    for margin, needed, said in ((0.02, 1606, "2 points take about 1,610"), (0.005, 89, "0.5 points take about 89")):
        line, _ = lines(replace(MICRO, margin=margin, needed=needed))
        assert line == f"micro: 164 problems can rule out a drop of more than 6.9 points; {said}"
