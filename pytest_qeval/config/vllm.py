"""Options of `--qeval-engine vllm`."""

from __future__ import annotations

from typing import Any, Literal, cast

from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError
from pytest_qeval.settings import VllmSettings

_OPTIONS = ("tensor-parallel", "pipeline-parallel", "distributed-executor", "memory-share")
_EXECUTORS = ("mp", "ray")


def read_vllm(values: Values) -> VllmSettings | None:
    """Read how vLLM is started; None for other engines.

    Raises:
        UsageError: for an option that another engine would not read, a value that means nothing, and several workers.
    """
    if values.text("engine") != "vllm":
        for name in _OPTIONS:
            if f"--qeval-{name}" in values.typed_options:
                raise UsageError(f"--qeval-{name} does nothing in this run: add --qeval-engine vllm.")
        return None
    if values.is_distributed:
        raise UsageError(
            "--qeval-engine vllm computes all cases in one batch, and each worker would load the model again: leave -n "
            "out."
        )
    executor: Any = values.text("distributed-executor")
    if executor not in {None, *_EXECUTORS}:
        raise UsageError(f"--qeval-distributed-executor expects mp or ray, not {executor!r}.")
    return VllmSettings(
        tensor_parallel=values.positive("tensor-parallel") or 1,
        pipeline_parallel=values.positive("pipeline-parallel") or 1,
        executor=cast("Literal['mp', 'ray'] | None", executor),
        memory_share=values.number("memory-share", float, lambda f: 0 < f <= 1, "a number above 0 and at most 1"),
    )
