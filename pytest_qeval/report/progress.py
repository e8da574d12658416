"""Live progress while an engine loads and generates: `int8 412/640 generated · 71 tok/s · eta 2:10`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from pytest_qeval.schema import EngineProgress, LoadingProgress

_EVERY_S = 0.25
_EVERY_S_LOGGED = 30.0
_EVERY_S_LOADING_LOGGED = 5.0


def describe(recipe: str, progress: EngineProgress | LoadingProgress) -> str:
    """Render progress in one line; the time left is estimated from the completions finished so far."""
    if isinstance(progress, LoadingProgress):
        return f"{recipe}: {progress.action}: {progress.share:.0%}"
    parts = [f"{recipe} {progress.finished}/{progress.total} generated"]
    if progress.busy_s > 0 and progress.new_tokens:
        parts.append(f"{progress.new_tokens / progress.busy_s:.0f} tok/s")
    if progress.finished:
        left_s = round(progress.busy_s * (progress.total - progress.finished) / progress.finished)
        parts.append(f"eta {left_s // 60}:{left_s % 60:02d}")
    return " · ".join(parts)


@dataclass(kw_only=True)
class ProgressLine:
    """Shows progress below pytest's own line on a terminal, or now and then as a line of its own in a log."""

    stream: IO[str]
    rewrites: bool
    """Whether the stream is a terminal that understands cursor movement."""
    column: Callable[[], int]
    """Returns the width of what pytest has written on the current line."""
    clock: Callable[[], float]
    """Returns seconds; only differences count."""
    uncaptured: Callable[[], AbstractContextManager[None]]
    """A context in which writing reaches the stream despite pytest's capturing."""

    def __post_init__(self) -> None:
        """Start the clock; nothing is written yet."""
        self._last = self.clock()

    def update(self, recipe: str, progress: EngineProgress | LoadingProgress) -> None:
        """Show progress, at most four times a second; erase it once all is done.

        In a log every half minute, or every five seconds while loading.
        """
        if isinstance(progress, LoadingProgress):
            done, logged_s = progress.share >= 1, _EVERY_S_LOADING_LOGGED
        else:
            done, logged_s = progress.finished == progress.total, _EVERY_S_LOGGED
        now = self.clock()
        if now - self._last < (_EVERY_S if self.rewrites else logged_s) and not (done and self.rewrites):
            return
        self._last = now
        text = "" if done else describe(recipe, progress)
        with self.uncaptured():
            if self.rewrites:
                # One line down, rewrite, and back: pytest continues where it was.
                self.stream.write(f"\n\r\x1b[K{text}\x1b[1A\r" + f"\x1b[{self.column()}C" * (self.column() > 0))
            elif text:
                self.stream.write(f"\n[{text}]\n")
            self.stream.flush()
