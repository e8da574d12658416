"""Which model was evaluated: SHA-256 of its files, so that two reports about "the same model" can be told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pytest_qeval.engines.sources import ModelSource

__all__ = ["files_sha256", "weights_sha256"]

_BESIDE = (".json", ".txt", ".model", ".jinja", ".tiktoken")
"""Endings of what lies beside the weights and has a say in every answer: configuration, tokenizer, chat template."""


def weights_sha256(source: ModelSource) -> str | None:
    """Return the digest of a local model's weight files; None for a hub model that has not been fetched yet.

    A single file gives its own digest, as `sha256sum` prints it. Several shards give the digest of what `sha256sum`
    prints for them in the order of their names. Reading them is no waste: they are in the page cache when the model is
    loaded.
    """
    if source.path is None:
        return None
    files = [source.path] if source.path.is_file() else sorted(source.path.glob("*.safetensors"))
    if len(files) == 1:
        return _digest(files[0])
    listing = "".join(f"{_digest(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def files_sha256(source: ModelSource) -> str | None:
    """Return the digest of the files beside a local model's weights that change completions; None if there are none.

    It is that of what `sha256sum` prints for the files in the order of their names.
    """
    if source.path is None or source.path.is_file():
        return None
    files = [path for path in sorted(source.path.iterdir()) if path.suffix in _BESIDE and path.is_file()]
    listing = "".join(f"{_digest(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest() if files else None


def _digest(file: Path) -> str:
    digest, buffer = hashlib.sha256(), bytearray(2**20)
    view = memoryview(buffer)
    with file.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            digest.update(view[:size])
    return digest.hexdigest()
