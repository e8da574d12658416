"""Which weights exactly: so that a baseline is never compared with another model of the same name."""

from __future__ import annotations

import hashlib

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.weights import weight_files

__all__ = ["weights_sha256"]

_LIMIT_BYTES = 4 * 2**30
"""About three seconds of hashing; larger models go without rather than delay every start."""
_CHUNK_BYTES = 2**22


def weights_sha256(source: ModelSource, *, limit_bytes: int = _LIMIT_BYTES) -> str | None:
    """Give the SHA-256 of all weight files' bytes, one file after the other in the order of their names.

    Returns:
        Hexadecimal digits (for a single file what `sha256sum` prints); None for a model that is not on this disk yet, or
        whose files exceed `limit_bytes`: nothing less than the whole is called the weights' hash.
    """
    if source.path is None:
        return None
    files = [source.path] if source.kind == "gguf" else weight_files(source.path)
    if sum(file.stat().st_size for file in files) > limit_bytes:
        return None
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
