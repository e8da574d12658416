"""Which weights were evaluated: their SHA-256, so that two reports about "the same model" can be told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pytest_qeval.engines.sources import ModelSource

__all__ = ["weights_sha256"]


def weights_sha256(source: ModelSource) -> str | None:
    """Give the digest of a local model's weight files; None for a hub model that has not been fetched yet.

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


def _digest(file: Path) -> str:
    digest, buffer = hashlib.sha256(), bytearray(2**20)
    view = memoryview(buffer)
    with file.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            digest.update(view[:size])
    return digest.hexdigest()
