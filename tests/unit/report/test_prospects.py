"""One line per benchmark before a run."""

from pytest_qeval.report.prospects import prospect_lines
from pytest_qeval.summary.power import Prospect


def line(margin: float, needed: int | None) -> str:
    prospect = Prospect(benchmark="micro", problems=164, detectable=0.0676, margin=margin, needed=needed)
    (found,) = prospect_lines([prospect])
    return found


def test_the_line_names_drop_and_assumptions() -> None:
    assert line(0.1, None) == "micro: 164 problems can rule out a drop of 6.8 points (80 % power, if 8 % of them flip)"


def test_the_number_needed_has_three_digits() -> None:
    """The share of flips is a guess."""
    assert "; for 2 points take about 1,610 (80 % power" in line(0.02, 1606)
    assert "; for 2 points take about 89 (80 % power" in line(0.02, 89)


def test_fractions_of_a_point_are_not_rounded() -> None:
    assert "; for 0.5 points take about " in line(0.005, 25_600)
