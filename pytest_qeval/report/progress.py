"""Live progress while an engine loads and generates: `int8 412/640 generated · 71 tok/s · eta 2:10`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Protocol

from pytest_qeval.schema import LoadingProgress

_EVERY_S = 0.25
_EVERY_S_LOGGED = 60.0
_FIRST_S_LOGGED = 3.0
"""After the first step, so that the first line has something to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a recipe is, and how long the whole run will take."""

    recipe: str
    finished: int
    """Completions."""
    total: int
    tokens_per_s: float | None
    """Generated so far."""
    left_s: float | None
    """Until everything is done, recipes to come included; None before there is anything to go by."""
    coming: tuple[str, ...] = ()
    """Recipes that are not loaded yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeLoading:
    """How far a recipe's model is loaded."""

    recipe: str
    loading: LoadingProgress


class OnProgress(Protocol):
    """Takes progress, to show it now and then; see `ProgressLine.update`."""

    def __call__(self, progress: Callable[[], RunProgress | RecipeLoading], /, *, done: bool) -> None:
        """Show progress, or not."""
        ...


def show_nothing(_progress: Callable[[], RunProgress | RecipeLoading], /, *, done: bool) -> None:
    """Show no progress, as in a worker."""
    del done


def describe(progress: RunProgress | RecipeLoading) -> str:
    """Render progress in one line."""
    if isinstance(progress, RecipeLoading):
        return f"{progress.recipe}: {progress.loading.action}: {progress.loading.share:.0%}"
    parts = [f"{progress.recipe} {progress.finished}/{progress.total} generated"]
    if progress.tokens_per_s is not None:
        parts.append(f"{progress.tokens_per_s:.0f} tok/s")
    if progress.left_s is not None:
        then = f" with {', '.join(progress.coming)}" if progress.coming else ""
        parts.append(f"eta {_duration(round(progress.left_s))}{then}")
    return " · ".join(parts)


def _duration(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


@dataclass(kw_only=True)
class ProgressLine:
    """Shows progress below pytest's own line on a terminal, or every minute as a line of its own in a log."""

    stream: IO[str]
    rewrites: bool
    """Whether the stream is a terminal that understands cursor movement."""
    column: Callable[[], int]
    """Returns the width of what pytest has written on the current line."""
    clock: Callable[[], float]
    """Returns seconds; only differences count."""
    uncaptured: Callable[[], AbstractContextManager[None]]
    """A context in which writing reaches the stream despite pytest's capturing."""
    _next_s: float | None = None

    def update(self, progress: Callable[[], RunProgress | RecipeLoading], /, *, done: bool) -> None:
        """Show progress, at most four times a second (in a log after seconds, then every minute); erase it when done.

        `progress` is called only for what is shown. After what is done, a log begins anew.
        """
        if done and not self.rewrites:
            self._next_s = None
            return
        now = self.clock()
        if self._next_s is None:
            self._next_s = now + (_EVERY_S if self.rewrites else _FIRST_S_LOGGED)
        if now < self._next_s and not done:
            return
        self._next_s = now + (_EVERY_S if self.rewrites else _EVERY_S_LOGGED)
        text = "" if done else describe(progress())
        with self.uncaptured():
            if self.rewrites:
                # One line down, rewrite, and back: pytest continues where it was.
                self.stream.write(f"\n\r\x1b[K{text}\x1b[1A\r" + f"\x1b[{self.column()}C" * (self.column() > 0))
            else:
                self.stream.write(f"\n[{text}]\n")
            self.stream.flush()
