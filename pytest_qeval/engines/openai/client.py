"""Requests to one server: sent again after what may pass, streamed, and without the key in anything that is written.

The client is httpx2: it has asynchronous streams that can be cancelled, and `huggingface_hub`, which transformers
needs, brings it already. The package `openai` would be another dependency of a dozen, retries on its own terms, and
checks answers against types that few servers keep to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from typing import Any

import httpx2

from pytest_qeval.engines.openai.address import is_own_machine
from pytest_qeval.engines.openai.answer import Answer, message_of
from pytest_qeval.engines.openai.events import events_of
from pytest_qeval.engines.openai.retries import Retries, TransientError, asked_to_wait_s, is_transient
from pytest_qeval.errors import EngineError, UsageError, counted
from pytest_qeval.schema import Completion, Json

_CONNECT_S = 10.0
_HIDDEN = "***"
_SECRET = 16
"""Characters of a key from which on no program holds it by chance; local servers take keys such as `test`."""


class RefusedError(EngineError):
    """The server does not accept a request, and never will."""

    def __init__(self, status: int, message: str) -> None:
        """Take the HTTP status and the message for people."""
        super().__init__(message)
        self.status = status


class Key(httpx2.Auth):
    """Sends the key; it appears in no representation, and in no local variable of a traceback."""

    def __init__(self, key: str | None = None) -> None:
        """Take the key; None where the server needs none."""
        self._key = key

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send a request with the key."""
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        yield request

    def hide(self, text: str) -> str:
        """Return a message without the key, which some servers repeat."""
        return text.replace(self._key, _HIDDEN) if self._key else text

    def hide_in_answer(self, text: str) -> str:
        """Return a model's text without the key, unless that is a short word which stands there by itself."""
        return self.hide(text) if self._key and len(self._key) >= _SECRET else text

    def __repr__(self) -> str:
        return "<key>"


class ServerClient:
    """Sends requests to one server."""

    def __init__(self, endpoint: str, *, key: Key, retries: Retries, concurrency: int = 8) -> None:
        """Connect to nothing yet.

        Raises:
            UsageError: when the proxy that the environment names cannot be used.
        """
        self.endpoint = endpoint
        self._key = key
        self._retries = retries
        self._http = _http_client(
            auth=key,
            trust_env=not is_own_machine(endpoint),  # a proxy would look for this machine on its own
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
                found = answer.completion(time.perf_counter() - started)
                return replace(found, text=self._key.hide_in_answer(found.text))
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
        attempt = 0
        while True:
            attempt += 1
            try:
                response = await self._http.get(self._url(path, root=root))
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
                raise EngineError(
                    f"there is no server at {self.endpoint} ({_in_words(error)}): start it, or check host and port."
                ) from error
            except httpx2.RequestError as error:
                await self._wait(attempt, _in_words(error), None)
            else:
                return found if isinstance(found, dict) else None

    async def post(self, path: str, body: Json, *, root: bool = False) -> Json:
        """Send a request that is answered in one piece, until it is, and return the answer.

        Args:
            path: Below the endpoint, or at the `root` of the server.
            body: The request.
            root: As in `get`.

        Raises:
            RefusedError: when the server does not accept the request.
            EngineError: when it has failed too often.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._post(self._url(path, root=root), body)
            except TransientError as error:
                reason, asked_s = str(error), error.wait_s
            except httpx2.RequestError as error:
                reason, asked_s = _in_words(error), None
            await self._wait(attempt, reason, asked_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _url(self, path: str, *, root: bool) -> httpx2.URL:
        return httpx2.URL(self.endpoint).join(path) if root else httpx2.URL(f"{self.endpoint}{path}")

    async def _post(self, url: httpx2.URL, body: Json) -> Json:
        response = await self._http.post(url, json=body)
        self._check(response, response.text)
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TransientError("the server sent something else than a JSON object")
        return found

    async def _stream(self, path: str, body: Json, answer: Answer, started: float) -> None:
        async with self._http.stream("POST", f"{self.endpoint}{path}", json=body) as response:
            if response.status_code != httpx2.codes.OK:
                self._check(response, (await response.aread()).decode(errors="replace"))
            async with events_of(response) as events:
                try:
                    while (event := await self._next(events)) is not None:
                        if answer.add(event, time.perf_counter() - started):
                            return
                except EngineError as error:
                    error.args = (self._key.hide(str(error)),)
                    raise

    async def _next(self, events: AsyncGenerator[str]) -> str | None:
        """Wait for the next event, None at the end; comments that keep a connection open are none.

        Raises:
            TransientError: when there is none in time.
        """
        try:
            return await asyncio.wait_for(anext(events, None), self._retries.patience_s)
        except asyncio.TimeoutError:
            raise TransientError("nothing was sent in time") from None

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


def _http_client(**settings: Any) -> httpx2.AsyncClient:
    try:
        return httpx2.AsyncClient(**settings)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise UsageError(
            f"the proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used: {error}"
        ) from None


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
