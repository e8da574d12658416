"""What is said before a run: the drop that its problems can prove not to be there, and how many a gate would take."""

from collections.abc import Iterator

import pytest

from pytest_qeval.report.prospects import prospects
from pytest_qeval.schema import Case
from pytest_qeval.stats.paired import detectable_drop, problems_needed


def cases(benchmark: str, count: int) -> Iterator[Case]:
    return (Case(benchmark=benchmark, task_id=f"{benchmark}/{number}") for number in range(count))


def line(count: int, margin: float) -> str:
    (found,) = prospects(cases("micro", count), margin=lambda _: margin)
    return found


def test_the_drop_that_can_be_proved_is_that_of_the_statistics() -> None:
    """164 problems: 6.8 points, as `detectable_drop` has it, and under which assumptions."""
    assert 100 * detectable_drop(164) == pytest.approx(6.76)
    assert line(164, 0.1) == "micro: 164 problems can prove a drop of 6.8 points (80 % power, if 8 % of them flip)"


def test_where_there_are_too_few_the_number_needed_is_said() -> None:
    """Rounded to three digits, for the share of flips is a guess."""
    needed = problems_needed(0.02)

    assert round(needed, -1) == 1610 != needed
    assert "for 2 points take about 1,610 (80 %" in line(164, 0.02)


def test_fractions_of_a_point_are_said_as_they_were_promised() -> None:
    """A gate of half a point is not rounded to one."""
    assert "; for 0.5 points take about " in line(20, 0.005)


@pytest.mark.parametrize("margin", [detectable_drop(164), 0.5, 0.0, -0.1])
def test_where_there_are_enough_no_number_is_said(margin: float) -> None:
    """Nor where no number would do: that nothing at all is lost cannot be proved."""
    assert "take about" not in line(164, margin)


def test_every_benchmark_has_its_line_and_its_margin() -> None:
    """In the order of the plan; a case that several recipes are asked is one problem."""
    plan = [*cases("micro", 10), *cases("humaneval", 20), *cases("micro", 10)]
    margins = {"micro": 0.03, "humaneval": 0.04}

    found = list(prospects(plan, margin=margins.__getitem__))

    assert sorted(found) == sorted(
        next(iter(prospects(cases(name, count), margin=margins.__getitem__)))
        for name, count in (("micro", 10), ("humaneval", 20))
    )
    assert any(text.startswith("micro: 10 problems") and "for 3 points" in text for text in found)
    assert any(text.startswith("humaneval: 20 problems") and "for 4 points" in text for text in found)


def test_nothing_is_said_about_nothing() -> None:
    """A run without cases, such as one for divergence alone, proves nothing about solved problems."""
    assert list(prospects([], margin=lambda _: 0.02)) == []
