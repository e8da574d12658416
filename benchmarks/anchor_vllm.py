"""vLLM as a process that `anchors.py` asks, in vLLM's own environment: `PYTHON anchor_vllm.py MODEL [--no-amx]`.

It imports nothing of ours. Worker processes of vLLM import it again, so that they leave AMX out as well.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import torch

if "--no-amx" in sys.argv:
    # vLLM's own kernels ask the processor, not the kernel's permission, and would be ended by their first tile.
    torch.cpu._is_amx_tile_supported = lambda: False  # noqa: SLF001


def answer(llm: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Complete prompts greedily."""
    from vllm import SamplingParams  # noqa: PLC0415 - vLLM's environment has it

    sampling = SamplingParams(
        temperature=0, max_tokens=job["max_new_tokens"], stop=job["stops"] or None, ignore_eos=job["exact"]
    )
    outputs = [one.outputs[0] for one in llm.generate(job["prompts"], sampling, use_tqdm=False)]
    return {
        "texts": [one.text for one in outputs],
        "generated_tokens": sum(len(one.token_ids) for one in outputs),
    }


def main() -> None:
    """Load, and answer line by line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever libraries print goes to the log
    import vllm  # noqa: PLC0415 # after its messages have been led away

    llm = vllm.LLM(model=sys.argv[1], dtype="bfloat16")
    print(json.dumps({"versions": f"vllm {vllm.__version__}, torch {torch.__version__}"}), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(llm, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
