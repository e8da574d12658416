"""Weight files, by their headers only: are they whole, and how much memory will the model need?"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qeval.errors import ModelSourceError

__all__ = [
    "StoredTensors",
    "check_gguf",
    "check_safetensors",
    "gguf_tensors",
    "gguf_text",
    "safetensors_tensors",
    "weight_files",
]

_INDEX = "model.safetensors.index.json"
_MAX_HEADER_BYTES = 100 * 2**20
"""The format's own limit; a longer header is no header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensors:
    """What a model's files hold."""

    elements: int
    stored_bytes: int


def weight_files(directory: Path) -> list[Path]:
    """List the safetensors files of a model directory: those that its index names, or all.

    Raises:
        ModelSourceError: when there are none, or the index names files that are not there.
    """
    index = directory / _INDEX
    if index.is_file():
        return _indexed_files(index)
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise ModelSourceError(
            f"{directory} has a config.json but no weights: expected model.safetensors, or shards with {_INDEX}."
        )
    return files


def check_safetensors(directory: Path) -> None:
    """Make sure that every weight file of a directory is there and as long as its header says.

    Raises:
        ModelSourceError: naming the first file that is missing or cut short.
    """
    for file in weight_files(directory):
        header = _read_header(file)
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
        missing = _header_bytes(file) + end - file.stat().st_size
        if missing > 0:
            raise ModelSourceError(f"{file} is cut short by {missing} bytes: fetch it again.")


def safetensors_tensors(directory: Path) -> StoredTensors:
    """Sum up all tensors of a model directory from the headers of its files."""
    headers = [_read_header(file) for file in weight_files(directory)]
    tensors = [tensor for header in headers for tensor in header.values()]
    return StoredTensors(
        elements=sum(math.prod(tensor["shape"]) for tensor in tensors),
        stored_bytes=sum(tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in tensors),
    )


def _indexed_files(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelSourceError(f"{index} is no weight index (no weight_map): fetch the model again.") from error
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise ModelSourceError(
            f"{index.parent} lacks {len(missing)} of {len(names)} weight files that its index names, first "
            f"{missing[0]}: fetch the model again."
        )
    return [index.parent / name for name in names]


def _header_bytes(file: Path) -> int:
    with file.open("rb") as stream:
        size = stream.read(8)
    length = struct.unpack("<Q", size)[0] if len(size) == 8 else _MAX_HEADER_BYTES + 1  # noqa: PLR2004 # one uint64
    return 8 + int(length)


def _read_header(file: Path) -> Mapping[str, Any]:
    end = _header_bytes(file)
    if end > min(_MAX_HEADER_BYTES, file.stat().st_size):
        raise ModelSourceError(f"{file} is no whole safetensors file (its header is cut short): fetch it again.")
    with file.open("rb") as stream:
        raw = stream.read(end)[8:]
    try:
        header = json.loads(raw)
    except ValueError as error:
        raise ModelSourceError(f"{file} is no safetensors file (its header is not JSON): fetch it again.") from error
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def check_gguf(file: Path) -> None:
    """Make sure that a file begins as GGUF does.

    Raises:
        ModelSourceError: saying what the file begins with instead.
    """
    with file.open("rb") as stream:
        start = stream.read(4)
    if start != b"GGUF":
        raise ModelSourceError(
            f"{file} is no GGUF file: it begins with {start!r}, not b'GGUF'. Expected a model directory or a GGUF file."
        )


def gguf_tensors(file: Path) -> StoredTensors:
    """Sum up all tensors of a GGUF file from its header.

    Raises:
        ModelSourceError: when the file ends within its header.
    """
    try:
        with file.open("rb") as stream:
            elements = sum(_GgufHeader(stream).tensor_elements())
    except (struct.error, OverflowError) as error:
        raise ModelSourceError(f"{file} is cut short within its header: fetch it again.") from error
    return StoredTensors(elements=elements, stored_bytes=file.stat().st_size)


def gguf_text(file: Path, key: str) -> str | None:
    """Return a text from a GGUF file's metadata; None where there is none of that name.

    Raises:
        ModelSourceError: when the file ends within its header.
    """
    try:
        with file.open("rb") as stream:
            return _GgufHeader(stream).text(key)
    except (struct.error, OverflowError) as error:
        raise ModelSourceError(f"{file} is cut short within its header: fetch it again.") from error


class _GgufHeader:
    """The beginning of a GGUF file (version 2 and 3, little endian): a text of the metadata, the tensors' shapes."""

    _SCALAR_BYTES: Mapping[int, int] = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    _STRING, _ARRAY = 8, 9

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def tensor_elements(self) -> Iterator[int]:
        """Yield the number of elements of every tensor."""
        self._unpack("<4sI")
        n_tensors, n_values = self._unpack("<QQ")
        for _ in range(n_values):
            self._skip_string()
            self._skip_value(*self._unpack("<I"))
        for _ in range(n_tensors):
            self._skip_string()
            (dimensions,) = self._unpack("<I")
            yield math.prod(self._unpack(f"<{dimensions}Q"))
            self._unpack("<IQ")

    def text(self, key: str) -> str | None:
        """Look for a text in the metadata."""
        self._unpack("<4sI")
        _, n_values = self._unpack("<QQ")
        for _ in range(n_values):
            name = self._string()
            (kind,) = self._unpack("<I")
            if name == key and kind == self._STRING:
                return self._string()
            self._skip_value(kind)
        return None

    def _string(self) -> str:
        (length,) = self._unpack("<Q")
        content: bytes = self._stream.read(length)
        return content.decode("utf-8", "replace")

    def _skip_value(self, kind: int) -> None:
        if kind == self._STRING:
            self._skip_string()
        elif kind == self._ARRAY:
            inner, count = self._unpack("<IQ")
            if inner in self._SCALAR_BYTES:
                self._stream.seek(self._SCALAR_BYTES[inner] * count, 1)
                return
            for _ in range(count):
                self._skip_value(inner)
        else:
            self._stream.seek(self._SCALAR_BYTES.get(kind, 8), 1)

    def _skip_string(self) -> None:
        (length,) = self._unpack("<Q")
        self._stream.seek(length, 1)

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self._stream.read(struct.calcsize(layout)))
