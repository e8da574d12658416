"""Types of llama.cpp's key/value cache: what `+kv8` and `+kv4` mean there, and how many bytes they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_qeval.engines.fit.cache_layout import cache_layout
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.quantize.recipe import CacheScheme
from pytest_qeval.schema import Json

_BLOCK = 32
"""Neighbouring channels of a head that share a scale."""
_PLAIN = "f16"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheType:
    """A type whose blocks of 32 values have a scale in float16 (ggml's `block_q8_0` and `block_q4_0`)."""

    name: str
    bits: int

    def vector_bytes(self, size: int) -> int:
        """Return the bytes of one token's keys, or values, of one head of `size` channels: payload and scales."""
        return -(-size // _BLOCK) * (_BLOCK * self.bits // 8 + 2)

    def to_dict(self) -> Json:
        """Return plain values for the report."""
        return {"bits": self.bits, "granularity": "per_32_channels", "symmetric": True, "type": self.name}


_TYPES: Mapping[int, CacheType] = {bits: CacheType(name=f"q{bits}_0", bits=bits) for bits in (8, 4)}


def cache_type(scheme: CacheScheme | None) -> CacheType | None:
    """Return the type that stands for a recipe's cache; None for one in float16."""
    return _TYPES[scheme.bits] if scheme else None


def cache_arguments(found: CacheType | None) -> Sequence[str]:
    """Return the arguments of llama-server, which quantizes values only with flash attention."""
    name = found.name if found else _PLAIN
    return ("--cache-type-k", name, "--cache-type-v", name, *(("--flash-attn", "on") if found else ()))


def cache_facts(source: ModelSource, found: CacheType | None) -> Json:
    """Describe a quantized cache by those fields of `RecipeFacts` that are known; nothing for one in float16."""
    if found is None:
        return {}
    size = cache_layout(shape_of(source).config, dtype="float16", itemsize=2, scheme=found).token_bytes
    sizes = {"token_bytes": size, "held_token_bytes": size}
    note = f"key/value cache in {found.name}, held and read so by llama.cpp, with flash attention"
    return {"cache": {**found.to_dict(), "execution": "native", **sizes}, "scheme": f"KV{found.bits}", "notes": (note,)}
