"""Look up a model on the hub by one small file, before anything large is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qeval.errors import MissingPackageError, ModelSourceError

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model on the hub, or in the hub's local cache."""

    config: Mapping[str, Any]
    snapshot: Path | None
    """The cached copy's directory when the hub cannot be reached; None when transformers can fetch the files itself."""


def find_on_hub(name: str, revision: str | None) -> HubModel:
    """Look a model up; where the hub is out of reach, in the local cache.

    Raises:
        MissingPackageError: without huggingface_hub.
        ModelSourceError: no such model or revision, a gated one, or no connection and nothing cached.
    """
    hub = _import_hub()
    reachable = _is_reachable(hub, name, revision)
    try:
        file = Path(hub.hf_hub_download(name, "config.json", revision=revision, local_files_only=not reachable))
    except hub.errors.LocalEntryNotFoundError as error:
        raise ModelSourceError(
            f"the model hub cannot be reached, and {name!r} is not in its local cache. Offline, name a directory, a "
            ".gguf file, or `demo`, the embedded model."
        ) from error
    except hub.errors.EntryNotFoundError as error:
        raise ModelSourceError(f"{name!r} on the hub has no config.json: it is not a transformers model.") from error
    config = json.loads(file.read_text(encoding="utf-8"))
    return HubModel(config=config, snapshot=None if reachable else file.parent)


def hub_file(name: str, revision: str | None, file: str) -> Path | None:
    """Fetch a small file of a model that `find_on_hub` has found; None where the model has none of that name."""
    hub = _import_hub()
    try:
        return Path(hub.hf_hub_download(name, file, revision=revision))
    except (hub.errors.EntryNotFoundError, hub.errors.LocalEntryNotFoundError):
        return None


def hub_weight_bytes(name: str, revision: str | None) -> Mapping[str, int] | None:
    """Return the parameters per stored dtype (`{"BF16": 494032768}`); None where the hub does not know."""
    hub = _import_hub()
    try:
        metadata = hub.HfApi().get_safetensors_metadata(name, revision=revision)
    except (OSError, hub.errors.HfHubHTTPError, hub.errors.NotASafetensorsRepoError, *_transport_errors()):
        return None
    return dict(metadata.parameter_count)


def _is_reachable(hub: Any, name: str, revision: str | None) -> bool:
    """Return whether the hub can be reached, by one request: `hf_hub_download` would retry for 23 s offline."""
    errors = hub.errors
    try:
        hub.HfApi().model_info(name, revision=revision, timeout=_TIMEOUT_S)
    except errors.GatedRepoError as error:
        raise ModelSourceError(
            f"{name!r} is gated: accept its licence on the hub, then log in (`hf auth login`) and run again."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelSourceError(f"{name!r} on the hub has no revision {revision!r}.") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelSourceError(
            f"there is no model {name!r} on the hub (or it is private), and no such directory or file here. Check the "
            "spelling; hub ids look like 'Qwen/Qwen2.5-Coder-0.5B-Instruct'."
        ) from error
    except (OSError, errors.HfHubHTTPError, *_transport_errors()):
        return False
    return True


def _import_hub() -> Any:
    try:
        import huggingface_hub  # noqa: PLC0415 # comes with transformers, which other engines do without
        import huggingface_hub.errors  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingPackageError("huggingface_hub", extra="transformers", purpose="a model from the hub") from error
    return huggingface_hub


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return the connection errors of the installed HTTP client: huggingface_hub has used three by version 2."""
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    # HfHubHTTPError derives from its client's HTTPError, beside which (not below) are the connection errors
    return tuple(base for base in HfHubHTTPError.__mro__ if base.__name__ in {"HTTPError", "RequestException"})
