"""The engine `openai`: a model that a server has loaded, found and described without a request for a completion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from pytest_qeval.engines.base import EngineSource, ModelEngine
from pytest_qeval.engines.openai.answer import is_same_model
from pytest_qeval.engines.openai.connection import ask, key_of
from pytest_qeval.engines.openai.identity import ServerIdentity, identify
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError, MissingPackageError, ModelSourceError, UsageError
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.schema import PREFIX_ONLY, InfillingForm, Json, LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings, ServerSettings


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
