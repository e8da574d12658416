"""Compare the predicted peak of memory with the measured one, each recipe in a process of its own.

python -m benchmarks.memory --model MODEL --recipe fp32 --recipe int8 --batch-size 4 --context 256

It prints rows of a Markdown table, in GB (10^9 bytes).
"""

from __future__ import annotations

import argparse
import sys

from pytest_qeval.engines.fit.predict import predict
from pytest_qeval.engines.fit.read import shape_of
from pytest_qeval.engines.fit.shapes import ModelShape
from pytest_qeval.engines.fresh_process import MemoryJob, measure_memory
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.measure.memory_facts import DecodingShape, PhaseMemory
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import ModelSettings

HEAD = (
    "recipe",
    "loading: predicted",
    "loading and quantizing: measured",
    "decoding: predicted",
    "decoding: measured",
    "peak: predicted",
    "peak: measured",
    "error",
)


def row(source: ModelSource, shape: ModelShape, recipe_name: str, wanted: DecodingShape) -> list[str]:
    """Predict and measure one recipe."""
    recipe = find_recipe(recipe_name)
    job = MemoryJob(
        source=source,
        recipe=recipe,
        shape=wanted,
        device="cpu",
        threads=None,
        texts=None,
        files_bytes=shape.files_bytes,
    )
    facts = measure_memory(job)
    found = predict(
        shape,
        recipe,
        budget_bytes=None,
        batch_size=facts.shape.batch_size,
        context_tokens=facts.shape.context_tokens,
    )
    loading: list[PhaseMemory] = [one for one in (facts.loading, facts.quantizing) if one]
    measured = max(one.peak_bytes for one in loading)
    sizes = (found.loading_bytes, measured, found.decoding_bytes, facts.decoding.peak_bytes)
    peaks = (found.peak_bytes, facts.peak_bytes)
    error = found.peak_bytes / facts.peak_bytes - 1
    return [
        recipe_name,
        *(f"{size / 1e9:.2f}" for size in (*sizes, *peaks)),
        f"{error:+.1%}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--recipe", action="append", required=True)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--context", type=int, default=256)
    options = parser.parse_args()
    source = resolve(ModelSettings(name=options.model))
    shape = shape_of(source)
    wanted = DecodingShape(batch_size=options.batch_size, context_tokens=options.context)
    for cells in (HEAD, ("---",) * len(HEAD)):
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
    for name in options.recipe:
        sys.stdout.write(f"| {' | '.join(row(source, shape, name, wanted))} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
