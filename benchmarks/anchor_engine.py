"""Our engine as a process that `anchors.py` asks: `python -m benchmarks.anchor_engine MODEL RECIPE THREADS`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import Any

from benchmarks.engine import by_engine, versions
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.hf.stream import prepare
from pytest_qeval.engines.sources import resolve
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings


def answer(loaded: Loaded, job: dict[str, Any]) -> dict[str, Any]:
    """Complete prompts, or time a single stream where the job says how many rounds."""
    if "rounds" in job:
        return time_stream(loaded, **job)
    exact = replace(loaded, eos_ids=()) if job["exact"] else loaded
    completions = by_engine(
        exact, job["prompts"], rows=job["rows"], max_new_tokens=job["max_new_tokens"], stops=tuple(job["stops"])
    )
    return {"texts": completions.texts, "generated_tokens": completions.tokens}


def time_stream(loaded: Loaded, *, prompt_tokens: int, new_tokens: int, rounds: int) -> dict[str, Any]:
    """Time prefill and decoding of one sequence, after a warm-up."""
    prefill = prepare(loaded, Workload(kind="prefill", prompt_tokens=prompt_tokens))
    decode = prepare(loaded, Workload(kind="decode", prompt_tokens=prompt_tokens, new_tokens=new_tokens))
    times = [(prefill(), decode()) for _ in range(rounds + 1)][1:]
    return {
        "prefill_s": [seconds for one, _ in times for seconds in one],
        "decode_s": [seconds for _, one in times for seconds in one],
    }


def main() -> None:
    """Load, and answer line by line."""
    model, recipe, threads = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever libraries print goes to the log
    loaded = load(resolve(ModelSettings(name=model)), find_recipe(recipe), threads=int(threads))
    print(json.dumps({"versions": versions()}), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(loaded, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
