"""Requests to one server: sent again after what may pass, streamed, and without the key in anything that is written.

The client is httpx2: it has asynchronous streams that can be cancelled, and `huggingface_hub`, which transformers
needs, brings it already. The package `openai` would be another dependency of a dozen, retries on its own terms, and
checks answers against types that few servers keep to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager

import httpx2

from pytest_qeval.engines.openai.answer import Answer, message_of
from pytest_qeval.engines.openai.retries import Retries, TransientError, asked_to_wait_s, is_transient
from pytest_qeval.errors import EngineError, counted
from pytest_qeval.schema import Completion, Json

_CONNECT_S = 10.0
_HIDDEN = "***"


class RefusedError(EngineError):
    """The server does not accept a request, and never will."""

    def __init__(self, status: int, message: str) -> None:
        """Take the HTTP status and the message for people."""
        super().__init__(message)
        self.status = status


class _Key(httpx2.Auth):
    """Sends the key; it appears in no representation, and in no local variable of a traceback."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        yield request

    def hide(self, text: str) -> str:
        """Return a text without the key, which some servers repeat in their messages."""
        return text.replace(self._key, _HIDDEN) if self._key else text

    def __repr__(self) -> str:
        return "<key>"


class ServerClient:
    """Sends requests to one server."""

    def __init__(self, endpoint: str, *, key: str | None = None, retries: Retries, concurrency: int = 8) -> None:
        """Connect to nothing yet."""
        self.endpoint = endpoint
        self._key = _Key(key)
        self._retries = retries
        self._http = httpx2.AsyncClient(
            auth=self._key,
            verify=endpoint.startswith("https:"),  # reading certificates takes half a second
            timeout=httpx2.Timeout(retries.patience_s, connect=_CONNECT_S, pool=None),
            limits=httpx2.Limits(max_connections=concurrency + 2, max_keepalive_connections=concurrency + 2),
        )

    async def complete(self, path: str, body: Json, answer: Answer) -> Completion:
        """Send a request until it is answered wholly, and return the completion.

        Args:
            path: Below the endpoint, such as `/completions`.
            body: The request.
            answer: An empty answer, which knows stop strings and the model; it is taken anew for every attempt.

        Raises:
            RefusedError: when the server does not accept the request.
            EngineError: when it has failed too often, or another model has answered.
        """
        attempt = 0
        while True:
            attempt += 1
            started = time.perf_counter()
            answer.restart()
            try:
                await self._stream(path, body, answer, started)
                return answer.completion(time.perf_counter() - started)
            except TransientError as error:
                await self._wait(attempt, str(error), error.wait_s)
            except httpx2.RequestError as error:
                await self._wait(attempt, _in_words(error), None)

    async def get(self, path: str, *, root: bool = False) -> Json | None:
        """Return what the server has at a path, once it is ready; None where it has nothing there.

        Args:
            path: Below the endpoint.
            root: Whether the path begins at the root of the server instead.

        Raises:
            EngineError: when the server cannot be reached, or does not let us in.
        """
        url = httpx2.URL(self.endpoint).join(path) if root else f"{self.endpoint}{path}"
        attempt = 0
        while True:
            attempt += 1
            try:
                response = await self._http.get(url)
                self._check(response, response.text)
                found = response.json()
            except RefusedError as error:
                if error.status in {401, 403}:
                    raise
                return None
            except ValueError:  # no JSON
                return None
            except TransientError as error:
                await self._wait(attempt, str(error), error.wait_s)
            except httpx2.ConnectError as error:
                raise EngineError(f"there is no server at {self.endpoint}: {_in_words(error)}.") from error
            except httpx2.RequestError as error:
                await self._wait(attempt, _in_words(error), None)
            else:
                return found if isinstance(found, dict) else None

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _stream(self, path: str, body: Json, answer: Answer, started: float) -> None:
        async with self._http.stream("POST", f"{self.endpoint}{path}", json=body) as response:
            if response.status_code != httpx2.codes.OK:
                self._check(response, (await response.aread()).decode(errors="replace"))
            async with _events(response) as events:
                async for event in events:
                    if answer.add(self._key.hide(event), time.perf_counter() - started):
                        return

    def _check(self, response: httpx2.Response, text: str) -> None:
        """Raise what a status stands for."""
        status = response.status_code
        if status == httpx2.codes.OK:
            return
        said = self._key.hide(_said(response, text))
        if is_transient(status):
            raise TransientError(f"HTTP {status}{said}", wait_s=asked_to_wait_s(response.headers))
        if status in {401, 403}:
            raise RefusedError(
                status,
                f"{self.endpoint} refuses the key (HTTP {status}{said}): name its variable by --qeval-api-key-env.",
            )
        raise RefusedError(status, f"{self.endpoint} refused a request: HTTP {status}{said}")

    async def _wait(self, attempt: int, reason: str, asked_s: float | None) -> None:
        """Wait before the next attempt.

        Raises:
            EngineError: when there is to be none.
        """
        delay_s = self._retries.delay_s(attempt, asked_s)
        if delay_s is None:
            asked = f", and it asks to wait {asked_s:.0f} s" if asked_s and attempt < self._retries.attempts else ""
            tries = counted(attempt, "attempt")
            raise EngineError(f"{self.endpoint} gave no answer in {tries}: {self._key.hide(reason)}{asked}")
        await asyncio.sleep(delay_s)


@asynccontextmanager
async def _events(response: httpx2.Response) -> AsyncIterator[AsyncGenerator[str]]:
    """Give the events of a stream, or the one of a server that does not stream."""

    async def read() -> AsyncGenerator[str]:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            yield (await response.aread()).decode(errors="replace")
            return
        async for line in response.aiter_lines():
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


def _said(response: httpx2.Response, text: str) -> str:
    """Return what a server says of a failure, after a comma."""
    try:
        body = response.json()
    except ValueError:
        body = {"message": text}
    said = message_of(body if isinstance(body, dict) else {"message": text})
    return f", {said}" if said.strip("{}") else ""


def _in_words(error: httpx2.RequestError) -> str:
    names = {
        "ReadTimeout": "nothing was sent in time",
        "ConnectTimeout": "no connection was made in time",
        "ReadError": "the connection broke off",
        "RemoteProtocolError": "the connection broke off",
    }
    kind = type(error).__name__
    return names.get(kind) or f"{kind}: {error}".rstrip(": ")
