"""Server-sent events of an answer, or the whole answer of a server that does not stream."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx2

_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)
"""Of server-sent events; a `\\r` at the end may be the first half of `\\r\\n`."""


@asynccontextmanager
async def events_of(response: httpx2.Response) -> AsyncIterator[AsyncGenerator[str]]:
    """Yield the events of a stream, or the one of a server that does not stream."""

    async def read() -> AsyncGenerator[str]:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            yield (await response.aread()).decode(errors="replace")
            return
        async for line in _lines(response):
            field, _, value = line.partition(":")
            if field == "data" and value.strip():
                yield value.strip()
            elif field == "error":  # llama-server, in the middle of a stream
                yield f'{{"error": {value.strip()}}}'

    found = read()
    try:
        yield found
    finally:
        await found.aclose()


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Yield lines as server-sent events have them: UTF-8, and no ends but CR and LF, whatever Unicode calls one."""
    rest = b""
    async for piece in response.aiter_bytes():
        *whole, rest = _LINE_END.split(rest + piece)
        for line in whole:
            yield line.decode(errors="replace")
    yield rest.decode(errors="replace").rstrip("\r")
