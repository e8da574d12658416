"""Look up a model on the hub by one small file, before anything large is fetched, and pin its commit."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qeval.errors import MissingPackageError, ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader
from pytest_qeval.quantize.recipe import EXPORT_FILE

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model on the hub, or in the hub's local cache."""

    commit: str
    """Git commit of every file: that of the revision, or offline the one that the cache has of it."""
    config: Mapping[str, Any]
    files: Collection[str]
    """Names of all files on the hub; empty when it cannot be reached."""
    snapshot: Path | None
    """The local copy's directory when the files are read from there; None when transformers fetches them."""


def find_on_hub(name: str, revision: str | None) -> HubModel:
    """Look a model up; where the hub is out of reach, in the local cache.

    Raises:
        MissingPackageError: without huggingface_hub.
        ModelSourceError: no such model or revision, a gated one, or no connection and nothing cached.
    """
    hub = _import_hub()
    with _explained(name, revision):
        info = _ask(hub, name, revision)
        files = [] if info is None else [file.rfilename for file in info.siblings or ()]
        try:
            file = Path(hub.hf_hub_download(name, "config.json", revision=revision, local_files_only=info is None))
            if info is not None:  # the revision may have moved since
                file = Path(hub.hf_hub_download(name, "config.json", revision=info.sha))
        except hub.errors.LocalEntryNotFoundError as error:
            raise ModelSourceError(_not_cached(name, revision)) from error
        except hub.errors.EntryNotFoundError as error:
            raise ModelSourceError(_no_config(name, files)) from error
        commit = file.parent.name if info is None else info.sha  # a snapshot is called after its commit
        exported = EXPORT_FILE in files
        for other in files if exported else ():  # transformers cannot read it, and would fetch other files
            hub.hf_hub_download(name, other, revision=commit)
    config = json.loads(file.read_text(encoding="utf-8"))
    here = info is None or exported
    return HubModel(commit=commit, config=config, files=files, snapshot=file.parent if here else None)


def hub_file(name: str, commit: str | None, file: str) -> Path | None:
    """Fetch a small file of a model that `find_on_hub` has found; None where the model has none of that name.

    Raises:
        ModelSourceError: when the hub has gone out of reach.
    """
    hub = _import_hub()
    with _explained(name, commit):
        try:
            return Path(hub.hf_hub_download(name, file, revision=commit))
        except hub.errors.LocalEntryNotFoundError as error:
            raise ModelSourceError(f"the model hub cannot be reached any more: {file} of {name} is missing.") from error
        except hub.errors.EntryNotFoundError:
            return None


def hub_headers(name: str, commit: str | None) -> Mapping[str, TensorHeader] | None:
    """Read the headers of a hub model's weight files, and nothing else of them; None where the hub cannot say.

    It cannot where the weights are no safetensors, and offline.
    """
    hub = _import_hub()
    try:
        metadata = hub.HfApi().get_safetensors_metadata(name, revision=commit)
    except (OSError, hub.errors.HfHubHTTPError, hub.errors.NotASafetensorsRepoError, *_transport_errors()):
        return None
    return {
        tensor: TensorHeader(
            dtype=info.dtype,
            shape=tuple(info.shape),
            stored_bytes=info.data_offsets[1] - info.data_offsets[0],
        )
        for file in metadata.files_metadata.values()
        for tensor, info in file.tensors.items()
    }


def _ask(hub: Any, name: str, revision: str | None) -> Any:
    """Return what the hub knows of a model; None where it cannot be reached.

    One request tells: `hf_hub_download` would retry for 23 s offline.
    """
    try:
        return hub.HfApi().model_info(name, revision=revision, timeout=_TIMEOUT_S)
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError):
        raise
    except (OSError, hub.errors.HfHubHTTPError, *_transport_errors()):
        return None


@contextmanager
def _explained(name: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's refusals into sentences; a gated model may refuse its files only, not the question for it."""
    errors = _import_hub().errors
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelSourceError(
            f"{name!r} is gated: accept its licence on the hub, then log in (`hf auth login`) and run again."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelSourceError(
            f"{name!r} on the hub has no revision {revision!r}: --qeval-revision takes a branch, a tag or a commit."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelSourceError(
            f"there is no model {name!r} on the hub, and no such directory or file here. Check the spelling (hub ids "
            "look like 'Qwen/Qwen2.5-Coder-0.5B-Instruct'); for a private model, log in first (`hf auth login`)."
        ) from error
    except errors.HFValidationError as error:
        raise ModelSourceError(f"{name!r} is no hub id: {error}") from error
    except (errors.HfHubHTTPError, *_transport_errors()) as error:
        raise ModelSourceError(f"the model hub broke off about {name!r} ({_first_line(error)}): run again.") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _not_cached(name: str, revision: str | None) -> str:
    which = f"the revision {revision!r} of {name!r}" if revision else f"{name!r}"
    return (
        f"the model hub cannot be reached, and {which} is not in its local cache. Offline, name a directory, a .gguf "
        "file, or `demo`, the embedded model."
    )


def _no_config(name: str, files: Collection[str]) -> str:
    packed = sorted(file for file in files if file.endswith(".gguf"))
    if packed:
        return f"{name!r} on the hub has GGUF files only: fetch one (`hf download {name} {packed[0]}`), and name it."
    if "adapter_config.json" in files:
        return f"{name!r} on the hub is an adapter: merge it into its base model, and name the merged model's folder."
    return f"{name!r} on the hub has no config.json: it is not a transformers model."


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
