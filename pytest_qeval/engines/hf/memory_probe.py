"""A process of its own that loads, quantizes and decodes one recipe, and reports its memory; see `fresh_process`.

A process that has run other recipes, pytest and sandboxes has a heap of its own history: only a fresh one shows what a
recipe needs.
"""

from __future__ import annotations

import inspect
import os
import pickle
import sys
import tokenize
from dataclasses import asdict
from time import perf_counter
from typing import Any

import msgspec
import torch

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.fresh_process import MemoryJob
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.errors import QEvalError
from pytest_qeval.measure.memory import PeakMemory
from pytest_qeval.measure.memory_facts import DecodingShape, MemoryFacts, PhaseMemory
from pytest_qeval.measure.memory_samples import MemorySampler, read_resident
from pytest_qeval.settings import GenerationSettings

NEW_TOKENS = 16
"""Of every sequence; all others of its context are its prompt's."""


def measure(job: MemoryJob) -> MemoryFacts:
    """Load, quantize and decode, and report the memory of each phase.

    Raises:
        QEvalError: as `load` does.
    """
    started, runtime = perf_counter(), read_resident().total
    sampler = MemorySampler()
    sampler.start()
    mark = PeakMemory()
    loaded = load(job.source, job.recipe, device=job.device, threads=job.threads, texts=job.texts)
    loaded_at, before = perf_counter(), mark.read()
    mark = PeakMemory()
    _read_embeddings(loaded.model)
    decoded, cache_bytes = _decode(loaded, job.shape)
    after, ended = mark.read(), perf_counter()
    sampler.stop()
    quantizes = bool(loaded.quantization.layers) and job.recipe.quantizes
    border = min(started + loaded.load_s, loaded_at) if quantizes else loaded_at
    quantizing = loaded.quantize_peak_bytes if quantizes else None
    # The mark of both phases is that of loading, unless quantizing was higher: then only samples tell.
    loading = before if quantizing is None or (before or 0) > quantizing else None
    return MemoryFacts(
        recipe=job.recipe.name,
        shape=decoded,
        runtime_bytes=runtime,
        loading=_phase(sampler, started, border, loading),
        quantizing=_phase(sampler, border, loaded_at, quantizing) if quantizes else None,
        decoding=_phase(sampler, loaded_at, ended, after),
        model_bytes=loaded.model_bytes,
        files_bytes=job.files_bytes,
        cache_bytes=cache_bytes,
        device_peak_bytes=_device_peak(loaded),
        duration_s=ended - started,
        simulated=loaded.execution == "simulated",
    )


def _phase(sampler: MemorySampler, start: float, end: float, mark: int | None) -> PhaseMemory:
    largest = sampler.largest(start, end)
    return PhaseMemory(
        peak_bytes=max(mark or 0, largest.total),
        private_bytes=largest.private,
        mapped_bytes=largest.mapped,
        shared_bytes=largest.shared,
    )


def _read_embeddings(model: Any) -> None:
    """Read the whole table once: a mapped file is resident only where it was read, and a long run reads most of it."""
    weight = model.get_input_embeddings().weight
    if isinstance(weight, torch.Tensor) and weight.numel():
        weight.detach().amax()


def _decode(loaded: Loaded, shape: DecodingShape) -> tuple[DecodingShape, int | None]:
    """Decode a full batch; return what was decoded, and the bytes of the cache's tensors."""
    room = loaded.completion_room(0)
    new_tokens = min(NEW_TOKENS, shape.context_tokens - 1)
    prompt_tokens = min(shape.context_tokens, room) - new_tokens
    decoder = make_decoder(loaded, GenerationSettings(max_new_tokens=new_tokens), rows=shape.batch_size)
    prompts = _prompts(loaded.tokenizer, prompt_tokens, shape.batch_size)
    decoder.submit([Request(key=str(at), prompt=prompt) for at, prompt in enumerate(prompts)])
    cache_bytes = 0
    while decoder.progress.finished < decoder.progress.total:
        decoder.step()
        cache_bytes = max(cache_bytes, decoder.cache_bytes or 0)
    per_row = decoder.progress.prompt_tokens // shape.batch_size
    return DecodingShape(batch_size=shape.batch_size, context_tokens=per_row + new_tokens), cache_bytes or None


def _prompts(tokenizer: Any, tokens: int, count: int) -> list[str]:
    """Return texts of about so many tokens each: the source of `tokenize`, from another line on for each."""
    lines = inspect.getsource(tokenize).splitlines(keepends=True)
    prompts = []
    for at in range(count):
        own = [*lines[at % len(lines) :], *lines]
        ids = tokenizer("".join(own * (1 + tokens // len(lines))), add_special_tokens=False).input_ids
        prompts.append(tokenizer.decode(ids[:tokens]))
    return prompts


def _device_peak(loaded: Loaded) -> int | None:
    device = loaded.model.device
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None


def main() -> None:
    """Read a job from standard input, and write what was measured, or the error, to standard output as JSON."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print
    job: MemoryJob = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - written by the process that started this one
    try:
        found: dict[str, Any] = {"facts": asdict(measure(job))}
    except QEvalError as error:
        found = {"error": str(error)}
    with answer:
        answer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
