"""Connections to a server: with the key from the environment, for a question before the run or for all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_qeval.engines.openai.background import BackgroundLoop
from pytest_qeval.engines.openai.retries import Retries
from pytest_qeval.errors import EngineError, UsageError
from pytest_qeval.settings import ServerSettings

if TYPE_CHECKING:
    from pytest_qeval.engines.openai.client import ServerClient

_T = TypeVar("_T")


def ask(server: ServerSettings, question: Callable[[ServerClient], Coroutine[Any, Any, _T]]) -> _T:
    """Ask a server something before the run; errors come without a chain, which would hold the key.

    Raises:
        EngineError: when it cannot be asked.
    """
    loop = BackgroundLoop()
    try:
        return loop.call(_closing(new_client(server), question))
    except EngineError as error:
        raise EngineError(str(error)) from None
    finally:
        loop.close()


def new_client(server: ServerSettings, *, concurrency: int = 2) -> ServerClient:
    """Return a client with the key from the environment."""
    from pytest_qeval.engines.openai.client import Key, ServerClient  # noqa: PLC0415 - needs an extra

    retries = Retries(patience_s=server.patience_s)
    return ServerClient(server.endpoint, key=Key(key_of(server)), retries=retries, concurrency=concurrency)


def key_of(server: ServerSettings) -> str | None:
    """Return the key; None where the server needs none.

    Raises:
        UsageError: when the variable that should hold it is empty, or holds what no header can.
    """
    if server.key_variable is None:
        return None
    key = os.environ.get(server.key_variable, "").strip()
    if not key:
        raise UsageError("--qeval-api-key-env: the environment variable that it names is not set, or empty.")
    if not (key.isascii() and key.isprintable()):
        raise UsageError("--qeval-api-key-env: the environment variable that it names holds characters no key has.")
    return key


async def _closing(client: ServerClient, question: Callable[[ServerClient], Coroutine[Any, Any, _T]]) -> _T:
    try:
        return await question(client)
    finally:
        await client.close()
