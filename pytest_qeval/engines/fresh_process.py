"""Measure a recipe's memory in a process that is started for it, and does nothing else."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass

import msgspec

from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import EngineError
from pytest_qeval.measure.memory_facts import DecodingShape, MemoryFacts
from pytest_qeval.quantize.corpus import CalibrationTexts
from pytest_qeval.quantize.recipe import Recipe

_PROBE = "pytest_qeval.engines.hf.memory_probe"
_KILLED = -9


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryJob:
    """What the process is to do."""

    source: ModelSource
    recipe: Recipe
    shape: DecodingShape
    device: str
    threads: int | None
    texts: CalibrationTexts | None
    """What static activations are calibrated on."""
    files_bytes: int
    """Size of the weight files."""


class _Answer(msgspec.Struct):
    facts: MemoryFacts | None = None
    error: str = ""


def measure_memory(job: MemoryJob) -> MemoryFacts:
    """Start a process for a job, and wait for it; it is spawned, so that it inherits nothing of this one's memory.

    Raises:
        EngineError: when it ends without an answer, or with an error, which it may tell.
    """
    done = subprocess.run([sys.executable, "-m", _PROBE], input=pickle.dumps(job), capture_output=True, check=False)
    if done.returncode == 0:
        answer = msgspec.json.decode(done.stdout, type=_Answer)
        if answer.facts is not None:
            return answer.facts
        raise EngineError(answer.error)
    raise EngineError(f"the process that measures the memory of {job.recipe.name} {_reason(done)}")


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode == _KILLED:
        return (
            "was killed, most likely because the machine or its control group ran out of memory: choose a smaller "
            "model or recipe, or a smaller --qeval-batch-size."
        )
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return f"ended with status {done.returncode}: {lines[-1] if lines else 'without a word'}"
