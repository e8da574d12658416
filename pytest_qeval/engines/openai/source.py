"""The engine `openai`: a model that a server has loaded, found and described without a request for a completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.openai.answer import is_same_model
from pytest_qeval.engines.openai.background import BackgroundLoop
from pytest_qeval.engines.openai.identity import ServerIdentity, identify
from pytest_qeval.engines.openai.retries import Retries
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError, MissingPackageError, ModelSourceError, UsageError
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import PREFIX_ONLY, InfillingForm, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings, ServerSettings

if TYPE_CHECKING:
    from pytest_qeval.engines.openai.client import ServerClient

_T = TypeVar("_T")


@dataclass(eq=False)
class ServerSource:
    """A server that speaks OpenAI's interface; see `EngineSource`."""

    name: str = "openai"
    summary: str = (
        "any server with OpenAI's interface: llama-server, vLLM, SGLang, Ollama, a hosted one (--qeval-endpoint URL)"
    )
    in_process: bool = False
    _found: dict[str, tuple[ServerIdentity, ServerSettings]] = field(default_factory=dict)
    """By endpoint."""
    _chats: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Whether messages are answered, by endpoint and model."""

    def find(self, model: ModelSettings) -> ModelSource:
        """Ask the server which models it has, and find the one that is asked for.

        A server with a single model needs no name.

        Raises:
            ModelSourceError: when there is no server, or it serves other models.
        """
        server = model.server
        if server is None:
            raise UsageError("--qeval-engine openai needs a server: add --qeval-endpoint http://localhost:8080.")
        if find_spec("httpx2") is None:
            raise MissingPackageError("httpx2", extra="server", purpose="asking a server")
        key_of(server)
        try:
            identity = ask(server, identify)
        except EngineError as error:
            raise ModelSourceError(f"{str(error).rstrip('.')}.") from None
        self._found[server.endpoint] = identity, server
        return ModelSource(kind="server", name=_chosen(model.name, identity, server.endpoint), endpoint=server.endpoint)

    def describe(self, source: ModelSource) -> Json:
        """Return the model's name, and what the server says of itself; its weights are not known."""
        identity = self._found[source.endpoint][0]
        return {
            "id": source.name,
            "source": "server",
            "endpoint": source.endpoint,
            "server": identity.software,
            "context_tokens": identity.context_tokens,
            "quantization": "",
        }

    def conditions(self, model: ModelSettings) -> Json:
        """Return nothing: on which device a server computes is not known."""
        del model
        return {}

    def has_chat_template(self, source: ModelSource) -> bool:
        """Return whether the server answers messages, which it is asked once."""
        from pytest_qeval.engines.openai.probe import answers_chats  # noqa: PLC0415 - needs an extra

        known = source.endpoint, source.name
        if known not in self._chats:
            server = self._found[source.endpoint][1]
            try:
                self._chats[known] = ask(server, lambda client: answers_chats(client, source.name))
            except EngineError as error:
                raise ModelSourceError(f"{str(error).rstrip('.')}.") from None
        return self._chats[known]

    def infilling_form(self, source: ModelSource, template: str | None) -> InfillingForm:
        """Return the user's template; a server does not tell which tokens its model has."""
        del source
        return InfillingForm(template=template) if template else PREFIX_ONLY

    def open(
        self,
        source: ModelSource,
        recipe: Recipe,
        *,
        model: ModelSettings,
        generation: GenerationSettings,
        texts: CalibrationTexts | None,
        export: Path | None,
        on_loading: Callable[[LoadingProgress], None] = lambda _: None,
    ) -> ModelEngine:
        """Probe the server, and return what sends it requests; the recipe is only a label."""
        from pytest_qeval.engines.openai.opening import open_server  # noqa: PLC0415 - needs an extra

        del recipe, texts, export, on_loading
        server = model.server or self._found[source.endpoint][1]
        return open_server(
            source,
            replace(server, endpoint=source.endpoint),
            generation=generation,
            identity=self._found[source.endpoint][0],
            engine=self.name,
        )

    def sensitivity(
        self,
        source: ModelSource,
        recipe: Recipe,
        solutions: Sequence[tuple[str, str]],
        *,
        model: ModelSettings,
        texts: CalibrationTexts | None,
    ) -> NoReturn:
        """Refuse: nothing is quantized here.

        Raises:
            EngineError: always.
        """
        del recipe, solutions, model, texts
        raise EngineError(f"{source.name} is on a server: its blocks cannot be quantized one at a time.")


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


def _chosen(asked: str, identity: ServerIdentity, endpoint: str) -> str:
    """Return the name by which the server knows the model that is asked for."""
    names = identity.models
    if not asked:
        if len(names) == 1:
            return names[0]
        some = f" It has {', '.join(names[:10])}." if names else ""
        raise ModelSourceError(f"{endpoint} does not say which model to ask: name it by --qeval-model.{some}")
    if not names:  # it cannot be asked which it has; its answers name the model
        return asked
    exact = next((name for name in names if name in {asked, f"{asked}:latest"}), None)
    found = [exact] if exact else [name for name in names if is_same_model(asked, name)]
    if len(found) > 1:
        raise ModelSourceError(f"{endpoint} serves {', '.join(found[:10])}: name one of these instead of {asked!r}.")
    if not found:
        raise ModelSourceError(f"{endpoint} serves {', '.join(names[:10])}, and not {asked!r}: name one of these.")
    return found[0]


OPENAI: EngineSource = ServerSource()
