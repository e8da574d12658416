"""Seeds of samples for engines that draw by themselves."""

from __future__ import annotations

from zlib import crc32

from pytest_qeval.engines.base import Request
from pytest_qeval.settings import GenerationSettings

_SEEDS = 2**31


def seed_of(request: Request, index: int, generation: GenerationSettings) -> int:
    """Return the seed of a sample: another one for every sample, the same in every run, whatever else is sent."""
    return crc32(f"{generation.seed}:{request.seed}:{index}".encode()) % _SEEDS
