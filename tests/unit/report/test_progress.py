import io
from contextlib import nullcontext

import pytest

from pytest_qeval.report.progress import ProgressLine, describe
from pytest_qeval.schema import EngineProgress, LoadingProgress


def progress(finished: int, *, tokens: int = 710, busy_s: float = 10.0) -> EngineProgress:
    return EngineProgress(finished=finished, total=640, new_tokens=tokens, prompt_tokens=0, busy_s=busy_s)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (progress(412, busy_s=235.0, tokens=16685), "int8 412/640 generated · 71 tok/s · eta 2:10"),
        (progress(0), "int8 0/640 generated · 71 tok/s"),
        (progress(0, tokens=0, busy_s=0.0), "int8 0/640 generated"),
        (progress(640), "int8 640/640 generated · 71 tok/s · eta 0:00"),
    ],
)
def test_one_line_describes_the_progress(found: EngineProgress, text: str) -> None:
    """Completions, tokens per second, and the time left as far as it can be estimated."""
    assert describe("int8", found) == text


def test_loading_is_described_by_what_it_does() -> None:
    """And how far it is."""
    loading = LoadingProgress(action="loading 14.0 GB, quantizing to int8", share=0.409)
    assert describe("int8", loading) == "int8: loading 14.0 GB, quantizing to int8: 41%"


def test_a_log_hears_of_loading_every_few_seconds_and_of_its_end_never() -> None:
    """A terminal's line is erased at the end."""
    for rewrites, text in ((False, "\n[int8: loading: 50%]\n"), (True, "\n\r\x1b[K\x1b[1A\r\x1b[7C")):
        stream = io.StringIO()
        shown = line(stream, [0.0, 0.1, 6.0, 6.1, 12.0], rewrites=rewrites)
        for share in (0.1, 0.5, 0.6, 1.0):
            shown.update("int8", LoadingProgress(action="loading", share=share))
        assert stream.getvalue().endswith(text)


def line(stream: io.StringIO, times: list[float], *, rewrites: bool) -> ProgressLine:
    return ProgressLine(
        stream=stream, rewrites=rewrites, column=lambda: 7, clock=iter(times).__next__, uncaptured=nullcontext
    )


def test_a_terminal_is_rewritten_and_left_as_it_was() -> None:
    """The line below is replaced, the cursor returns to its column, and the end erases the line."""
    stream = io.StringIO()
    shown = line(stream, [0.0, 1.0, 1.1, 1.2], rewrites=True)
    shown.update("int8", progress(1, tokens=0))
    shown.update("int8", progress(2, tokens=0))
    shown.update("int8", progress(640))

    assert stream.getvalue() == (
        "\n\r\x1b[Kint8 1/640 generated · eta 106:30\x1b[1A\r\x1b[7C" + "\n\r\x1b[K\x1b[1A\r\x1b[7C"
    )


def test_a_log_gets_a_line_now_and_then() -> None:
    """No escape codes, and no flood."""
    stream = io.StringIO()
    shown = line(stream, [0.0, 29.0, 31.0, 32.0], rewrites=False)
    for finished in (1, 2, 640):
        shown.update("int8", progress(finished, tokens=0))

    assert stream.getvalue() == "\n[int8 2/640 generated · eta 53:10]\n"
