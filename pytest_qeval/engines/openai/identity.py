"""What a server says of itself: its software, models, context and slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_qeval.schema import Json

if TYPE_CHECKING:
    from pytest_qeval.engines.openai.client import ServerClient

_OWNERS = {"llamacpp": "llama.cpp", "vllm": "vLLM", "sglang": "SGLang", "library": "Ollama"}
"""Software by the `owned_by` of its models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """A server, as far as it tells."""

    models: tuple[str, ...] = ()
    software: str = ""
    """With its version, such as `llama.cpp b9876-1a2b3c4`; empty where it does not say."""
    context_tokens: int | None = None
    """Of prompt and completion together."""
    slots: int | None = None
    """Requests that it works on at a time."""


async def identify(client: ServerClient) -> ServerIdentity:
    """Ask for the models, and then for what only llama-server or vLLM tells.

    Raises:
        EngineError: when there is no server, or the key is refused.
    """
    entries = _entries(await client.get("/models"))
    owner = str(entries[0].get("owned_by") or "").lower() if entries else ""
    software = _OWNERS.get(owner, "")
    context, slots = _count(entries[0].get("max_model_len")) if entries else None, None
    if owner == "llamacpp":
        props = await client.get("/props", root=True) or {}
        software = f"{software} {props.get('build_info', '')}".strip()
        settings = props.get("default_generation_settings")
        context = _count(settings.get("n_ctx")) if isinstance(settings, Mapping) else None
        slots = _count(props.get("total_slots"))
    elif owner == "vllm":
        version = (await client.get("/version", root=True) or {}).get("version", "")
        software = f"{software} {version}".strip()
    return ServerIdentity(
        models=tuple(str(entry["id"]) for entry in entries), software=software, context_tokens=context, slots=slots
    )


def _entries(found: Json | None) -> list[Mapping[str, Any]]:
    data = (found or {}).get("data")
    if not isinstance(data, list):
        return []
    return [entry for entry in data if isinstance(entry, Mapping) and entry.get("id")]


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
