import io
from contextlib import nullcontext

import pytest

from pytest_qeval.report.progress import ProgressLine, RecipeLoading, RunProgress, describe
from pytest_qeval.schema import LoadingProgress


def progress(finished: int, *, left_s: float | None = 130.0, coming: tuple[str, ...] = ()) -> RunProgress:
    return RunProgress(recipe="int8", finished=finished, total=640, tokens_per_s=71.2, left_s=left_s, coming=coming)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (progress(412), "int8 412/640 generated · 71 tok/s · eta 2:10"),
        (progress(0, left_s=None), "int8 0/640 generated · 71 tok/s"),
        (progress(3, left_s=7384.0), "int8 3/640 generated · 71 tok/s · eta 2:03:04"),
        (
            progress(3, coming=("w4a16", "w8a16")),
            "int8 3/640 generated · 71 tok/s · eta 2:10 with w4a16, w8a16",
        ),
    ],
)
def test_one_line_describes_the_progress(found: RunProgress, text: str) -> None:
    """Completions, tokens per second, and the time left until everything is done."""
    assert describe(found) == text


class Shown:
    """A line, and how often progress was asked for."""

    def __init__(self, *, rewrites: bool) -> None:
        self.now = 0.0
        self.asked = 0
        self.stream = io.StringIO()
        self.line = ProgressLine(
            stream=self.stream, rewrites=rewrites, column=lambda: 7, clock=lambda: self.now, uncaptured=nullcontext
        )

    def at(self, now: float, finished: int) -> None:
        def ask() -> RunProgress:
            self.asked += 1
            return progress(finished)

        self.now = now
        self.line.update(ask, done=finished == 640)


def test_a_terminal_is_rewritten_and_left_as_it_was() -> None:
    """The line below is replaced, the cursor returns to its column, and the end erases the line."""
    shown = Shown(rewrites=True)
    for now, finished in ((0.0, 0), (1.0, 1), (1.1, 2), (1.2, 640)):
        shown.at(now, finished)

    assert shown.asked == 1
    assert shown.stream.getvalue() == (
        "\n\r\x1b[Kint8 1/640 generated · 71 tok/s · eta 2:10\x1b[1A\r\x1b[7C" + "\n\r\x1b[K\x1b[1A\r\x1b[7C"
    )


def test_a_log_gets_a_line_within_seconds_and_then_one_a_minute() -> None:
    """No escape codes, no flood, and no line at the end."""
    shown = Shown(rewrites=False)
    for second in range(180):
        shown.at(1000.0 + second, second)
    shown.at(1300.0, 640)

    starts = [line.split("/")[0] for line in shown.stream.getvalue().split("\n") if line]
    assert starts == ["[int8 3", "[int8 63", "[int8 123"]
    assert shown.asked == 3


def loading(share: float) -> RecipeLoading:
    progress = LoadingProgress(action="loading 14.0 GB, quantizing to int8", share=share)
    return RecipeLoading(recipe="int8", loading=progress)


def test_loading_is_described_by_what_it_does() -> None:
    """And how far it is."""
    assert describe(loading(0.409)) == "int8: loading 14.0 GB, quantizing to int8: 41%"


def test_a_log_begins_anew_after_loading() -> None:
    """It hears of loading within seconds, never of its end, and of generating within seconds again."""
    shown = Shown(rewrites=False)
    for now, share in ((0.0, 0.1), (1.0, 0.2), (4.0, 0.5), (5.0, 0.6), (6.0, 1.0)):
        shown.now = now
        shown.line.update(lambda share=share: loading(share), done=share == 1.0)  # type: ignore[misc]
    for now, finished in ((7.0, 1), (9.0, 2), (11.0, 3)):
        shown.at(now, finished)

    assert [line for line in shown.stream.getvalue().splitlines() if line] == [
        "[int8: loading 14.0 GB, quantizing to int8: 50%]",
        "[int8 3/640 generated · 71 tok/s · eta 2:10]",
    ]
