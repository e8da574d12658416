"""From a server that was found to the engine that sends it requests."""

from __future__ import annotations

from collections.abc import Callable

from pytest_qeval.engines.base import ModelEngine
from pytest_qeval.engines.openai.background import BackgroundLoop
from pytest_qeval.engines.openai.connection import new_client
from pytest_qeval.engines.openai.engine import ServerEngine
from pytest_qeval.engines.openai.identity import ServerIdentity
from pytest_qeval.engines.openai.in_flight import FIRST, MOST, InFlight
from pytest_qeval.engines.openai.probe import Probed, explain, probe
from pytest_qeval.engines.openai.prompt_length import PromptCheck
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError
from pytest_qeval.schema import Json
from pytest_qeval.settings import GenerationSettings, ServerSettings

BATCHED = "the server decides which requests it computes together"


def open_server(
    source: ModelSource,
    server: ServerSettings,
    *,
    generation: GenerationSettings,
    identity: ServerIdentity,
    engine: str,
    more_facts: Json | None = None,
    on_close: Callable[[], None] = lambda: None,
) -> ModelEngine:
    """Probe a server, and return the engine that sends it requests.

    `more_facts` are fields of `RecipeFacts` that the server itself does not tell; notes are added to its own.

    Raises:
        EngineError: when it does not answer.
    """
    chat = generation.prompt_style.startswith("chat")
    in_flight = requests_at_a_time(server, identity.slots)
    loop = BackgroundLoop()
    try:
        client = new_client(server, concurrency=in_flight.most)
        asking = probe(client, source.name, chat=chat, generation=generation, software=identity.software)
        probed = loop.call(asking)
    except EngineError as error:
        loop.close()
        raise EngineError(explain(error, chat=chat)) from None
    except BaseException:
        loop.close()
        raise
    return ServerEngine(
        loop,
        client,
        model=source.name,
        abilities=probed.abilities,
        generation=generation,
        in_flight=in_flight,
        prompts=PromptCheck(characters_per_token=probed.characters_per_token, context_tokens=identity.context_tokens),
        facts=_facts(source, identity, probed, engine, more_facts or {}),
        forcing=probed.forcing,
        context_tokens=identity.context_tokens,
        on_close=on_close,
    )


def requests_at_a_time(server: ServerSettings, slots: int | None) -> InFlight:
    """Return how many requests this process sends at a time: what the user says, the server's slots, or a search."""
    known = server.concurrency or slots
    if known is None:
        return InFlight(most=max(FIRST, MOST // server.processes))
    return InFlight.fixed(max(1, known // server.processes))


def _facts(source: ModelSource, identity: ServerIdentity, probed: Probed, engine: str, more: Json) -> Json:
    """Describe a server by those fields of `RecipeFacts` that are known; the engine adds how many requests it sends."""
    model = f"{source.name} at {source.endpoint}"
    return {
        "summary": f"{model}, served by {identity.software}" if identity.software else model,
        "engine": f"{engine} ({identity.software})" if identity.software else engine,
        "scheme": None,
        "dtype": None,
        "execution": "server",
        "batch_dependence": BATCHED,
        **more,
        "notes": (*more.get("notes", ()), *probed.notes),
    }
