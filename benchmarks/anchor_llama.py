"""llama.cpp as `anchors.py` asks it: its server for completions, its bench program for a single stream.

Built by GCC 12 on a processor with AMX, both end with a segmentation fault: its `_tile_loadconfig` reads 8 of the 64
bytes that are given, and the compiler leaves the others out. Take another compiler, or add in
`ggml/src/ggml-cpu/amx/mmq.cpp`, before that call, `__asm__ volatile("" :: "r"(&tc) : "memory");`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from gguf import GGUFReader

from benchmarks.anchor_processes import LAUNCHER, LIMIT_S, AnchorError, Answer, Cost, started, tree_cpu_s

_MOSTLY_Q8_0 = 7
"""What `general.file_type` says of a file that llama-quantize made with `Q8_0`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Llama:
    """Where llama.cpp's programs and the model's file are, and with how many threads they run."""

    programs: Path
    gguf: Path
    threads: int
    simulate: bool

    def stream(self, *, prompt_tokens: int, new_tokens: int, rounds: int) -> Answer:
        """Return the seconds of each prefill of a prompt, and of each decoding of new tokens after it."""
        lengths = ("-p", str(prompt_tokens), "-n", "0"), ("-p", "0", "-n", str(new_tokens), "-d", str(prompt_tokens))
        (prefill_s,), (decode_s,) = (self._bench("-r", str(rounds), *one) for one in lengths)
        return {"prefill_s": prefill_s, "decode_s": [one / new_tokens for one in decode_s]}

    def _bench(self, *options: str) -> list[list[float]]:
        command = [
            *(LAUNCHER if self.simulate else ()),
            *(str(self.programs / "llama-bench"), "-m", str(self.gguf), "-t", str(self.threads), "-o", "json"),
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        if done.returncode:
            raise AnchorError(f"llama-bench ended with {done.returncode}: {done.stderr[-500:]}")
        return [[1e-9 * one for one in test["samples_ns"]] for test in json.loads(done.stdout)]


class Server:
    """A llama-server that is ready for the first prompt."""

    def __init__(self, popen: subprocess.Popen[str], port: int, slots: int, began: float) -> None:
        """Wait until the model is loaded."""
        self.process, self.slots = psutil.Process(popen.pid), slots
        self._address = f"http://127.0.0.1:{port}"
        while not self._healthy():
            if popen.poll() is not None or time.perf_counter() - began > LIMIT_S:
                raise AnchorError("llama-server did not start; see its log.")
            time.sleep(0.05)
        self.start = Cost(wall_s=time.perf_counter() - began, cpu_s=tree_cpu_s(self.process))
        self.about = {"versions": "llama.cpp"}

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._address}/health", timeout=5) as answer:  # noqa: S310 # http
                return bool(answer.status == 200)  # noqa: PLR2004 # HTTP's OK; 503 while it loads
        except OSError:  # among them urllib's own, and refused connections
            return False

    def ask(self, job: Answer) -> Answer:
        """Complete prompts, as many at a time as the server has slots."""
        with ThreadPoolExecutor(self.slots) as pool:
            answers = list(pool.map(lambda prompt: self._complete(prompt, job), job["prompts"]))
        return {
            "texts": [one["content"] for one in answers],
            "generated_tokens": sum(one["tokens_predicted"] for one in answers),
        }

    def _complete(self, prompt: str, job: Answer) -> Answer:
        body = {
            "prompt": prompt,
            "n_predict": job["max_new_tokens"],
            "temperature": 0,
            "stop": job["stops"],
            "cache_prompt": False,
            "ignore_eos": job["exact"],
        }
        request = urllib.request.Request(  # noqa: S310 # http, to this machine
            f"{self._address}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310 # as above
                completion: Answer = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AnchorError(f"llama-server: {error.read()[:500].decode(errors='replace')}") from error
        return completion


@contextmanager
def server(llama: Llama, log: Path, *, slots: int, slot_tokens: int) -> Iterator[Server]:
    """Start a server with `slots` of `slot_tokens` each, wait until it is ready, and end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = str(llama.threads)
    command = [
        *(str(llama.programs / "llama-server"), "-m", str(llama.gguf), "-t", threads, "-tb", threads),
        *("-np", str(slots), "-c", str(slots * slot_tokens), "--cache-ram", "0", "--port", str(port)),
    ]
    began = time.perf_counter()
    with started(command, log, simulate=llama.simulate) as popen:
        yield Server(popen, port, slots, began)


def why_not(programs: Path | None, gguf: Path | None) -> str:
    """Return what is missing for llama.cpp to run, and how to get it; empty where nothing is."""
    if sys.platform != "linux":
        return "Only Linux is measured."
    if programs is None or not all((programs / name).exists() for name in ("llama-server", "llama-bench")):
        return (
            "Build llama.cpp (`cmake -B build -DGGML_NATIVE=ON`, then `cmake --build build --target llama-server "
            "llama-bench llama-quantize`) and give the folder of its programs by --llama-bin."
        )
    if gguf is None or not gguf.exists():
        return (
            "Make the file for --gguf from the same model: "
            "`convert_hf_to_gguf.py MODEL --outfile F16.gguf --outtype f16`, then "
            "`llama-quantize F16.gguf Q8_0.gguf Q8_0`."
        )
    kind = GGUFReader(gguf).fields["general.file_type"].contents()
    return "" if kind == _MOSTLY_Q8_0 else f"{gguf.name} is not Q8_0 (general.file_type is {kind}, not {_MOSTLY_Q8_0})."
