"""One line per benchmark before a run."""

from pytest_qeval.report.prospects import prospect_lines
from pytest_qeval.summary.power import Prospect


def line(margin: float, needed: int | None) -> str:
    prospect = Prospect(
        benchmark="micro",
        problems=164,
        sources=164,
        independent=164,
        detectable=0.0676,
        margin=margin,
        needed=needed,
    )
    (found,) = prospect_lines([prospect])
    return found


def test_the_line_names_drop_and_assumptions() -> None:
    expected = "can rule out a drop of more than 6.8 points (in 80 % of runs, if nothing is lost and 8 % of them flip)"
    assert line(0.1, None) == f"micro: 164 problems {expected}"


def test_the_number_needed_has_three_digits() -> None:
    """The share of flips is a guess."""
    assert "; for 2 points take about 1,610 (in 80 % of runs" in line(0.02, 1606)
    assert "; for 2 points take about 89 (in 80 % of runs" in line(0.02, 89)


def test_fractions_of_a_point_are_not_rounded() -> None:
    assert "; for 0.5 points take about " in line(0.005, 25_600)


def test_problems_of_one_source_are_said_to_be_so() -> None:
    """Their number alone promises too much."""
    prospect = Prospect(
        benchmark="micro", problems=164, sources=82, independent=109, detectable=0.0676, margin=0.02, needed=None
    )

    (line,) = prospect_lines([prospect])
    assert line.endswith("8 % of them flip; they come from 82 sources and count as about 109 independent ones)")
