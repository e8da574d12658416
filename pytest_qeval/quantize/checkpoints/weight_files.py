"""Weight files, read by their headers only: whether they are whole, and how large the model is."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qeval.errors import MissingPackageError, ModelSourceError

WEIGHTS = "model.safetensors"
OWN_WEIGHTS = "qeval.safetensors"
"""The weight file of an export that other programs would read wrongly."""
GGUF_FLOATS = frozenset({"F32", "F16", "BF16", "F64"})
"""Types of GGUF tensors in floating point."""
_INDEX = f"{WEIGHTS}.index.json"
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorHeader:
    """A tensor of a safetensors file, without its values."""

    dtype: str
    """As safetensors writes it: `BF16`, `F8_E4M3`."""
    shape: tuple[int, ...]
    stored_bytes: int


def safetensors_headers(directory: Path) -> Mapping[str, TensorHeader]:
    """Read the names, types and shapes of all tensors of a model directory.

    Raises:
        ModelSourceError: naming the first file that is missing or not whole.
        MissingPackageError: without the package safetensors.
    """
    headers = {}
    for file in safetensors_files(directory):
        _check_safetensors(file)
        with file.open("rb") as stream:
            entries = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        for name, entry in entries.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                headers[name] = TensorHeader(
                    dtype=entry["dtype"], shape=tuple(entry["shape"]), stored_bytes=end - start
                )
    return headers


def check_pointer(file: Path) -> None:
    """Refuse a file that git-lfs has left as a pointer to its content.

    Raises:
        ModelSourceError: naming the file.
    """
    with file.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise ModelSourceError(
                f"{file} is a pointer of git-lfs, not the file itself: run `git lfs pull` in {file.parent}, or fetch "
                "the model again."
            )


def _check_safetensors(file: Path) -> None:
    check_pointer(file)
    try:
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 # an extra
    except ModuleNotFoundError as error:
        raise MissingPackageError("safetensors", extra="transformers", purpose="reading weights") from error
    try:
        with safe_open(file, framework="numpy"):
            pass
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise ModelSourceError(f"{file} is not a whole safetensors file ({reason}): fetch it again.") from error


def safetensors_files(directory: Path) -> list[Path]:
    """List the files that transformers loads from a model directory: one, or those that the index names.

    Others beside them are left alone, such as weights in another layout or an adapter's.

    Raises:
        ModelSourceError: when there are none.
    """
    own = next((directory / name for name in (WEIGHTS, OWN_WEIGHTS) if (directory / name).is_file()), None)
    index = directory / _INDEX
    if own is None and index.is_file():
        return _indexed_files(index)
    if own is None:
        others = sorted(file.name for file in directory.glob("*.safetensors"))
        found = f"weights under another name ({others[0]})" if others else "no weights"
        raise ModelSourceError(
            f"{directory} has a config.json but {found}: expected {WEIGHTS}, or shards with {_INDEX}."
        )
    return [own]


def has_weights(directory: Path) -> bool:
    """Return whether a model directory holds weights of any kind, or the index of some."""
    names = ("*.safetensors", f"*{_INDEX}", "*.bin", "*.gguf")
    return any(True for pattern in names for _ in directory.glob(pattern))


def _indexed_files(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelSourceError(f"{index} is not a weight index (no weight_map): fetch the model again.") from error
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise ModelSourceError(
            f"{index.parent} lacks {len(missing)} of {len(names)} weight files that its index names, first "
            f"{missing[0]}: fetch the model again."
        )
    return [index.parent / name for name in names]


def check_gguf(file: Path) -> None:
    """Make sure that a file begins as GGUF does; `read_gguf` reads the rest.

    Raises:
        ModelSourceError: with the file's first bytes.
    """
    check_pointer(file)
    with file.open("rb") as stream:
        start = stream.read(4)
    if start != b"GGUF":
        raise ModelSourceError(
            f"{file} is not a GGUF file: it begins with {start!r}, not b'GGUF'. Expected a model directory or a GGUF "
            "file."
        )


def gguf_text(file: Path, key: str) -> str | None:
    """Return a text from a GGUF file's metadata, or None; see `read_gguf` for what it raises."""
    field = read_gguf(file).get_field(key)
    text = field.contents() if field else None
    return text if isinstance(text, str) else None


def gguf_type(file: Path) -> str:
    """Return the type that most weights of a GGUF file's matrices have, such as `Q4_K`; see `read_gguf`."""
    sizes: Counter[str] = Counter()
    for tensor in read_gguf(file).tensors:
        if len(tensor.shape) > 1:
            sizes[tensor.tensor_type.name] += int(tensor.n_elements)
    return next((name for name, _ in sizes.most_common(1)), "")


def gguf_end_tokens(file: Path) -> list[int]:
    """Return the tokens that end a text, a turn or a message; see `read_gguf` for what it raises."""
    reader = read_gguf(file)
    fields = (reader.get_field(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom"))
    return [int(field.contents()) for field in fields if field]


def read_gguf(file: Path) -> Any:
    """Return a `gguf.GGUFReader` of a file's metadata and tensors, without the contents of arrays.

    GGUFReader makes several numpy views of every string: 10 s of CPU time for a vocabulary of 152 thousand tokens and
    as many merges, 0.1 s when arrays are skipped (gguf 0.19, 2 cores, 2026).

    Raises:
        ModelSourceError: when the file is not whole.
        MissingPackageError: without the package gguf.
    """
    try:
        from gguf import GGUFReader, GGUFValueType  # noqa: PLC0415 # an extra
    except ModuleNotFoundError as error:
        raise MissingPackageError("gguf", extra="transformers", purpose="a GGUF file") from error

    class Reader(GGUFReader):  # type: ignore[misc,unused-ignore] # untyped
        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            if raw_type != GGUFValueType.ARRAY or self.byte_order != "I":
                return super()._get_field_parts(orig_offs, raw_type)
            offset = int(orig_offs)
            kind, count = struct.unpack_from("<IQ", self.data.data, offset)
            size = 12
            if kind == GGUFValueType.STRING:
                for _ in range(count):
                    size += 8 + struct.unpack_from("<Q", self.data.data, offset + size)[0]
            else:
                size += count * self.gguf_scalar_to_np[GGUFValueType(kind)]().itemsize
            return size, [], [], [GGUFValueType.ARRAY]

    try:
        return Reader(file)
    except (IndexError, KeyError, OverflowError, ValueError, struct.error) as error:
        raise ModelSourceError(f"{file} is not a whole GGUF file (cut short or damaged): fetch it again.") from error
