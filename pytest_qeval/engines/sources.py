"""Find the model that `--qeval-model` names, and check it before anything is downloaded or loaded."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.hub import find_on_hub, hub_file
from pytest_qeval.engines.weight_files import check_gguf, check_pointer, safetensors_tensors
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.recipe import EXPORT_FILE
from pytest_qeval.settings import ModelSettings

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
ADAPTER = "adapter_config.json"
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model that was found, and where."""

    kind: Literal["hub", "directory", "gguf", "demo"]
    name: str
    """As the user wrote it; its name in reports."""
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
    _check_config(found.config, settings.name)
    _check_format(found.files, found.config, settings.name)
    return _completed(source, found.config)


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


def quantization_config(directory: Path) -> Mapping[str, Any]:
    """Return how a model directory says it is quantized; empty for one in floating point."""
    return _quantization(_read_config(directory))


def text_entry(config: Mapping[str, Any], key: str) -> Any:
    """Return an entry of a config, or of its part for text where the model reads images too; None without either."""
    part = config.get("text_config")
    found = config.get(key)
    return part.get(key) if found is None and isinstance(part, Mapping) else found


def _quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = text_entry(config, "quantization_config")
    return found if isinstance(found, Mapping) else {}


def _stored(config: Mapping[str, Any]) -> str:
    found = _quantization(config)
    old = "bitsandbytes" if found.get("load_in_4bit") or found.get("load_in_8bit") else "unknown"
    return str(found.get("quant_method", old)) if found else ""


def _has_encoder(config: Mapping[str, Any]) -> bool:
    return config.get("is_encoder_decoder") is True


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
    config = _read_config(path)
    _check_config(config, str(path))
    _check_format([file.name for file in path.iterdir()], config, str(path))
    safetensors_tensors(path)  # raises where a file is not whole
    source = _completed(source, config)
    return replace(source, stored="qeval") if not source.stored and (path / EXPORT_FILE).is_file() else source


def _completed(source: ModelSource, config: Mapping[str, Any]) -> ModelSource:
    return replace(
        source,
        stored=_stored(config),
        encoder_decoder=_has_encoder(config),
        dtype=str(text_entry(config, "dtype") or text_entry(config, "torch_dtype") or ""),
    )


def _auto_class(config: Mapping[str, Any]) -> str:
    return "AutoModelForSeq2SeqLM" if _has_encoder(config) else "AutoModelForCausalLM"


def _check_format(files: Collection[str], config: Mapping[str, Any], name: str) -> None:
    """Refuse weights in pickle form; of a hub model, transformers would look for a conversion at another commit."""
    if any(file in _PICKLED for file in files) and not any(
        file.startswith("model") and file.endswith(".safetensors") for file in files
    ):
        raise ModelSourceError(
            f"{name} has weights in pickle form only (pytorch_model.bin), which may run code when they are loaded. "
            f"Convert them: {_auto_class(config)}.from_pretrained(…).save_pretrained(…) writes safetensors."
        )


def _read_config(directory: Path) -> Mapping[str, Any]:
    file = directory / "config.json"
    if not file.is_file():
        if (directory / ADAPTER).is_file():
            raise ModelSourceError(adapter_refusal(str(directory), read_json(directory / ADAPTER)))
        ggufs = sorted(entry.name for entry in directory.glob("*.gguf"))
        hint = f" It has {ggufs[0]}: name that file itself." if ggufs else ""
        raise ModelSourceError(f"{directory} is not a model directory: it has no config.json.{hint}")
    return read_json(file)


def adapter_refusal(name: str, adapter: Mapping[str, Any]) -> str:
    """Say that adapters are not applied; transformers ignores one or loads its base instead, as peft is installed."""
    return (
        f"{name} holds an adapter ({ADAPTER}: {adapter.get('peft_type', 'unknown')} for "
        f"{adapter.get('base_model_name_or_path')!r}), and adapters are not applied here. Merge it into its model with "
        "the package peft (merge_and_unload) and name the result, or move the adapter's files away."
    )


def read_json(file: Path) -> Mapping[str, Any]:
    """Read a JSON object of a model.

    Raises:
        ModelSourceError: when it is none.
    """
    check_pointer(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelSourceError(f"{file} is not JSON ({error}): fetch the model again.") from error
    if not isinstance(content, dict):
        raise ModelSourceError(f"{file} is not a JSON object: fetch the model again.")
    return content


def _check_config(config: Mapping[str, Any], name: str) -> None:
    """Refuse a model that generates no text; transformers decides about an unknown `model_type`."""
    architectures = [str(architecture) for architecture in config.get("architectures") or ()]
    kind = ", ".join(architectures) or config.get("model_type", "unknown")
    if _has_encoder(config):
        if architectures and not any(architecture.endswith(_SEQ2SEQ) for architecture in architectures):
            raise ModelSourceError(
                f"{name} is an encoder-decoder model without a head that generates text ({kind}): expected one such as "
                "T5ForConditionalGeneration."
            )
        return
    if architectures and not any(architecture.endswith(_CAUSAL) for architecture in architectures):
        raise ModelSourceError(f"{name} is not a causal language model ({kind}) and not supported yet: {_EXPECTED}.")


_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_SEQ2SEQ = ("ForConditionalGeneration", "LMHeadModel", "MTModel")
_EXPECTED = "expected a decoder-only model such as Qwen2ForCausalLM, or an encoder-decoder such as T5"
