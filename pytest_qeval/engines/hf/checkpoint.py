"""Load a checkpoint with transformers: floating point, GGUF, or quantized already."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging as transformers_logging

from pytest_qeval.engines.hf.arrivals import Arrivals, Taker
from pytest_qeval.engines.hf.completeness import check_complete, check_finite
from pytest_qeval.engines.hf.encoder_decoder import EncoderDecoder
from pytest_qeval.engines.hf.gguf_tensors import gguf_state_dict
from pytest_qeval.engines.hf.skeleton import build_skeleton
from pytest_qeval.engines.identity import source_identity
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import MissingPackageError, ModelSourceError, QEvalError
from pytest_qeval.quantize.checkpoints.reader import ExportedCheckpoint, read_checkpoint
from pytest_qeval.quantize.recipe import EXPORT_FILE, Dtype


def from_pretrained(
    source: ModelSource,
    dtype: Dtype,
    device: torch.device,
    exported: ExportedCheckpoint | None,
    *,
    taker: Taker | None = None,
    show: Callable[[int], None] = lambda _: None,
) -> tuple[Any, Any]:
    """Load model and tokenizer, quietly; `dtype` is that of the floating-point parts.

    Parameters that a `taker` takes are on the meta device afterwards. A model that `stored_checkpoint` has read is its
    own: the weights that it holds as integers have no values. `show` is told how many elements have arrived so far.

    Raises:
        ModelSourceError: when transformers cannot load it, or would change it; see `completeness`.
        MissingPackageError: when the checkpoint's quantization needs a package that is not installed.
    """
    arrivals = Arrivals(exported or taker, show)
    with _quiet(), arrivals.watch():
        try:
            if exported is not None:
                model, tokenizer = _from_exported(source, exported, device)
            else:
                model, tokenizer = _from_files(source, dtype, device)
        except ImportError as error:
            raise _missing_package(source, error) from error
        except QEvalError:
            raise
        except Exception as error:  # a damaged checkpoint can make transformers raise anything
            raise ModelSourceError(
                f"transformers {transformers.__version__} cannot load {source.name}: {_reason(error)}"
            ) from error
    check_finite(source, model, arrivals.broken)
    return model, tokenizer


def stored_checkpoint(source: ModelSource) -> ExportedCheckpoint | None:
    """Read a checkpoint that this program exported; None for any other.

    Raises:
        ModelSourceError: when it is not whole.
    """
    if source.path is None or not (source.path / EXPORT_FILE).is_file():
        return None
    return read_checkpoint(source.path)


def _from_exported(source: ModelSource, exported: ExportedCheckpoint, device: torch.device) -> tuple[Any, Any]:
    config = AutoConfig.from_pretrained(source.location, trust_remote_code=source.remote_code)
    dtype = _config_dtype(config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    try:
        state = exported.state_dict(dtype)
    except KeyError as error:
        raise ModelSourceError(f"{source.name} holds no integers for {error}: export it again.") from error
    architecture = auto_class(source)._model_mapping[type(config)]  # noqa: SLF001 - the auto class takes no state dict
    model, found = architecture.from_pretrained(
        None,
        config=config,
        state_dict=state,
        dtype=dtype,
        device_map={"": device},
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    check_complete(source, found)
    if (Path(source.location) / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(source.location)
    return model, load_tokenizer(source)


def load_skeleton(source: ModelSource) -> tuple[Any, EncoderDecoder | None] | None:
    """Build the model from its config alone; see `build_skeleton` for what it has instead of weights.

    Raises:
        ModelSourceError: when transformers cannot load the tokenizer.
    """
    tokenizer = load_tokenizer(source)
    with _quiet():
        return build_skeleton(lambda: _read_config(source, source_identity(source)), auto_class(source), tokenizer)


def load_tokenizer(source: ModelSource) -> Any:
    """Load a model's tokenizer alone; all recipes of a model share one, which nobody changes.

    Raises:
        ModelSourceError: when transformers cannot.
    """
    try:
        return _load_tokenizer(source, source_identity(source))
    except Exception as error:  # the package tokenizers raises nothing narrower
        raise ModelSourceError(
            f"transformers {transformers.__version__} cannot load the tokenizer of {source.name}: {_reason(error)}"
        ) from error


@lru_cache(maxsize=1)
def _load_tokenizer(source: ModelSource, _files: Hashable) -> Any:
    with _quiet():
        return AutoTokenizer.from_pretrained(**_place(source))


def _reason(error: Exception) -> str:
    """Return the first line of an error, and the next where it only announces that."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])


@lru_cache(maxsize=1)
def _read_config(source: ModelSource, _files: Hashable) -> Any:
    """Read a config, which nobody changes; that of a GGUF file takes as long as its vocabulary is large."""
    return AutoConfig.from_pretrained(**_place(source))


def _from_gguf(source: ModelSource, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any] | None:
    """Load a GGUF file tensor by tensor; None where transformers has to unpack it as a whole."""
    config = _read_config(source, source_identity(source))
    with torch.device("meta"):
        skeleton = auto_class(source).from_config(config, dtype=dtype)
    state = gguf_state_dict(source.path, skeleton, config) if source.path else None
    if state is None:
        return None
    model, found = type(skeleton).from_pretrained(
        None,
        config=config,
        state_dict=state,
        dtype=dtype,
        device_map={"": device},
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    check_complete(source, found)
    return model, load_tokenizer(source)


def _from_files(source: ModelSource, dtype: Dtype, device: torch.device) -> tuple[Any, Any]:
    if source.kind == "gguf" and (loaded := _from_gguf(source, _torch_dtype(source, dtype, {}), device)):
        return loaded
    where, extra = _place(source), {}
    if source.kind == "gguf" and hasattr(transformers, "GgufConfig"):
        # newer transformers keep the blocks packed by default
        extra["quantization_config"] = transformers.GgufConfig(dequantize=True)
    torch_dtype = _torch_dtype(source, dtype, where)
    tokenizer = load_tokenizer(source)
    # the progress bar of GGUF unpacking is not one of transformers' own, and cannot be switched off as those are
    with redirect_stderr(io.StringIO()) if source.kind == "gguf" else nullcontext():
        model, found = auto_class(source).from_pretrained(
            **where,
            **extra,
            dtype=torch_dtype,
            device_map={"": device},
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `check_complete` names them
        )
    check_complete(source, found)
    return model, tokenizer


def _place(source: ModelSource) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that say where a model is."""
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": source.location,
        "trust_remote_code": source.remote_code,  # left out, it means to ask on the terminal
    }
    if source.kind == "hub" and source.path is None:
        where["revision"] = source.commit
    if source.kind == "gguf" and source.path is not None:
        where["gguf_file"] = source.path.name
    return where


def auto_class(source: ModelSource) -> Any:
    """Return transformers' class that finds a model's own."""
    # the config's class is not enough: BART's is in the mapping of causal models too, for its decoder
    return AutoModelForSeq2SeqLM if source.encoder_decoder else AutoModelForCausalLM


def _torch_dtype(source: ModelSource, dtype: Dtype, where: dict[str, Any]) -> torch.dtype:
    if dtype != "checkpoint":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if source.kind == "gguf":
        return torch.float32  # its blocks have no floating-point type
    return _config_dtype(AutoConfig.from_pretrained(**where))


def _config_dtype(config: Any) -> torch.dtype:
    """Return the config's type, float32 where it names none; `dtype="auto"` would take the first tensor's there."""
    stated = getattr(config, "dtype", None)
    return stated if isinstance(stated, torch.dtype) else torch.float32


def _missing_package(source: ModelSource, error: ImportError) -> Exception:
    """Name the package that a quantized checkpoint needs, as far as transformers names it."""
    reason = str(error).strip().splitlines()[0]
    if source.stored in {"bitsandbytes", "torchao", "compressed-tensors"}:
        return MissingPackageError(source.stored, extra=source.stored, purpose=f"the checkpoint {source.name}")
    return ModelSourceError(f"the checkpoint {source.name} is quantized ({source.stored or 'unknown'}): {reason}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the loader's progress bars, advice and warnings, and restore everything."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
