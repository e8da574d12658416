"""An event loop in a thread of its own, so that answers are read, and timed, while tests do other things."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

_TURNS = 3
"""Of the loop, until closed connections have ended, generously."""


class BackgroundLoop:
    """Runs coroutines until it is closed; the thread starts on first use."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qeval-server", daemon=True)
        self._closed = False

    def start(self) -> None:
        """Start the thread; once."""
        if self._thread.ident is None and not self._closed:
            self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine, and return its result; an interruption of the caller cancels it."""
        self.start()
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the loop."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Cancel everything that runs, and end the thread; calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is not None:
            asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(_TURNS):  # connections that were closed end in the loop's next turns
        await asyncio.sleep(0)
