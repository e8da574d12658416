"""Find the model that `--qeval-model` names, before anything large is downloaded or loaded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.hub import find_on_hub, hub_file
from pytest_qeval.engines.model_config import check_config, has_encoder, quantization_method, read_config, text_entry
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import check_gguf, safetensors_headers
from pytest_qeval.quantize.recipe import EXPORT_FILE
from pytest_qeval.settings import ModelSettings

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model that was found, and where."""

    kind: Literal["hub", "directory", "gguf", "demo", "server"]
    name: str
    """As the user wrote it; its name in reports. On a server, the name that it gives the model."""
    endpoint: str = ""
    """Base address of the server that has loaded the model; empty for a model of this machine."""
    path: Path | None = None
    """Directory or GGUF file to load from; None for a hub model that has to be fetched."""
    revision: str | None = None
    """Hub revision as the user wrote it; None for local models and for the default branch."""
    commit: str | None = None
    """Commit that all files of a hub model are taken from; None for local models."""
    encoder_decoder: bool = False
    """Whether prompts go to an encoder and completions come from a decoder, as in T5 and BART."""
    stored: str = ""
    """How the checkpoint is quantized: `gguf`, its config's `quant_method`, or `qeval` for an export of this program
    without one; empty for floating point."""

    made_from: str = ""
    """Name of the model that was loaded before it was saved, as the config has it; empty where it has none."""
    dtype: str = ""
    """Floating-point type in the config, such as `bfloat16`; empty where it names none."""
    remote_code: bool = False
    """Whether classes that come with the model may be imported."""

    @property
    def location(self) -> str:
        """Argument of `from_pretrained`: the local directory, or the hub id."""
        if self.path is None:
            return self.name
        return str(self.path.parent if self.kind == "gguf" else self.path)


def resolve(settings: ModelSettings) -> ModelSource:
    """Find the model `settings.name`: `demo`, a directory, a GGUF file, or a model on the hub, in this order.

    Only the config of a hub model is downloaded.

    Raises:
        ModelSourceError: when there is no such model, or it cannot be loaded.
    """
    return replace(_resolve(settings), remote_code=settings.remote_code)


def _resolve(settings: ModelSettings) -> ModelSource:
    path = Path(settings.name).expanduser()
    if settings.name == "demo":
        source = ModelSource(kind="demo", name="demo", path=MODEL_DIR)
    elif path.is_dir():
        source = ModelSource(kind="directory", name=settings.name, path=path)
    elif path.is_file():
        source = ModelSource(kind="gguf", name=settings.name, path=path)
    elif _looks_like_path(settings.name):
        raise ModelSourceError(_no_such_path(path))
    else:
        return _resolve_hub(settings)
    if settings.revision is not None:
        raise ModelSourceError(
            f"revision {settings.revision!r} was given for the local model {settings.name!r}. Only models from the hub "
            "have revisions: leave --qeval-revision out, or name a hub id."
        )
    return _check_local(source)


def _resolve_hub(settings: ModelSettings) -> ModelSource:
    if not _HUB_ID.fullmatch(settings.name):
        raise ModelSourceError(
            f"{settings.name!r} is not a model: expected `demo`, a directory, a .gguf file, or a hub id such as "
            "'Qwen/Qwen2.5-Coder-0.5B-Instruct'."
        )
    found = find_on_hub(settings.name, settings.revision)
    source = ModelSource(
        kind="hub", name=settings.name, path=found.snapshot, revision=settings.revision, commit=found.commit
    )
    if source.path is not None:
        return _check_snapshot(source)
    return _completed(source, found.config, found.files, settings.name)


def _check_snapshot(source: ModelSource) -> ModelSource:
    """Check a local copy of a hub model as a directory; offline it may be whatever an earlier run has fetched."""
    try:
        return _check_local(source)
    except ModelSourceError as error:
        raise ModelSourceError(
            f"the local cache of the model hub has no usable copy of {source.name!r} at commit {source.commit}: {error}"
        ) from error


def find_file(source: ModelSource, name: str) -> Path | None:
    """Return a small file beside a model's weights, fetched for a hub model; None where there is none."""
    if source.path is None:
        return hub_file(source.name, source.commit, name)
    path = source.path / name
    return path if path.is_file() else None


def _looks_like_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~", ".")) or name.endswith((".gguf", "/")) or name.count("/") > 1


def _no_such_path(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"there is no model at {path}: the directory {parent} does not exist either."
    near = difflib.get_close_matches(path.name, (entry.name for entry in parent.iterdir()), n=2, cutoff=0.5)
    guess = f" Did you mean {' or '.join(str(parent / name) for name in near)}?" if near else ""
    return f"there is no model at {path}.{guess} Expected a directory with config.json and weights, or a .gguf file."


def _check_local(source: ModelSource) -> ModelSource:
    """Refuse a model that cannot be loaded; complete the source from its config."""
    path = source.path
    if path is None or not path.exists():
        raise ModelSourceError(f"the model {source.name!r} is not installed: {path} does not exist.")
    if source.kind == "gguf":
        check_gguf(path)
        return replace(source, stored="gguf")
    source = _completed(source, read_config(path), [file.name for file in path.iterdir()], str(path))
    safetensors_headers(path)  # raises where a file is not whole
    return replace(source, stored="qeval") if not source.stored and (path / EXPORT_FILE).is_file() else source


def _completed(source: ModelSource, config: Mapping[str, Any], files: Collection[str], name: str) -> ModelSource:
    check_config(config, files, name)
    return replace(
        source,
        stored=quantization_method(config),
        encoder_decoder=has_encoder(config),
        made_from=str(config.get("_name_or_path") or ""),
        dtype=str(text_entry(config, "dtype") or text_entry(config, "torch_dtype") or ""),
    )
