"""SHA-256 of a model's files, to see whether two reports are about the same model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from pytest_qeval.engines.digests import sha256_of
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.checkpoints.weight_files import safetensors_files

_TEXT_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".py")
"""Files beside the weights that change completions: configuration, tokenizer, chat template, the model's own code."""


def weights_sha256(source: ModelSource) -> str | None:
    """Return the digest of a local model's weight files; None for a hub model, which its commit identifies.

    The digest of a single file is the one that `sha256sum` prints. The digest of several shards is that of the lines
    that `sha256sum` prints for them in the order of their names. Digests of large files are kept in the
    user's cache (`digests`).
    """
    if source.path is None or source.kind == "hub":
        return None
    files = [source.path] if source.path.is_file() else safetensors_files(source.path)
    return sha256_of(files[0]) if len(files) == 1 else _digest_all(files)


def files_sha256(source: ModelSource) -> str | None:
    """Return the digest of the files beside a local model's weights that change completions; None if there are none.

    It is the digest of the lines that `sha256sum` prints for the files in the order of their names.
    """
    if source.path is None or source.kind == "hub" or source.path.is_file():
        return None
    files = [path for path in sorted(source.path.iterdir()) if path.suffix in _TEXT_SUFFIXES and path.is_file()]
    return _digest_all(files) if files else None


def _digest_all(files: Iterable[Path]) -> str:
    lines = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
