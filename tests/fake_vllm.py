"""A package `vllm` that writes predictable text, token by token, through the interface that the engine uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

_PIECE = 3
"""Characters of a token."""


class EngineDeadError(Exception):
    """As in `vllm.v1.engine.exceptions`."""


class VLLMValidationError(Exception):
    """As in `vllm.exceptions`: no `ValueError` since vLLM 0.32."""


@dataclass
class SamplingParams:
    """As in vLLM, with the arguments that are used."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 16
    stop: Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    seed: int | None = None
    prompt_logprobs: int | None = None


@dataclass
class _Request:
    ids: list[int]
    params: SamplingParams
    tokens: int = 0


@dataclass
class FakeEngine:
    """`vllm.LLMEngine`: each step writes one token of every request."""

    vllm_config: Any
    write: Callable[[Sequence[int], SamplingParams], str]
    log_probs: Callable[[int], Mapping[int, float]]
    """Of the tokens after a token."""
    live: dict[str, _Request] = field(default_factory=dict)
    widest: int = 0
    is_dead: bool = False
    fail_next: BaseException | None = None
    shutdowns: int = 0

    @property
    def engine_core(self) -> Any:
        return SimpleNamespace(shutdown=self.shutdown)

    def shutdown(self) -> None:
        self.shutdowns += 1

    def add_request(self, key: str, prompt: Mapping[str, list[int]], params: SamplingParams) -> None:
        assert key not in self.live
        ids = prompt["prompt_token_ids"]
        if len(ids) >= self.vllm_config.model_config.max_model_len:
            raise VLLMValidationError(f"This prompt has {len(ids)} tokens, which is too long.\nMore.")
        self.live[key] = _Request(ids, params)
        self.widest = max(self.widest, len(self.live))

    def abort_request(self, keys: list[str]) -> None:
        for key in keys:
            self.live.pop(key, None)

    def step(self) -> list[Any]:
        if self.is_dead:
            raise EngineDeadError
        if self.fail_next:
            error, self.fail_next = self.fail_next, None
            raise error
        outputs = [self._next(key, request) for key, request in self.live.items()]
        for output in outputs:
            if output.finished:
                del self.live[output.request_id]
        return outputs

    def _next(self, key: str, request: _Request) -> Any:
        request.tokens += 1
        params, whole = request.params, self.write(request.ids, request.params)
        text, reason, stop_reason = whole[: request.tokens * _PIECE], None, None
        ends = [(text.index(stop), stop) for stop in params.stop if stop in text]
        if ends:
            at, stop_reason = min(ends)
            text, reason = text[:at], "stop"
        elif len(text) == len(whole):
            reason = "stop"
        elif request.tokens >= params.max_tokens:
            reason = "length"
        return SimpleNamespace(
            request_id=key,
            prompt_token_ids=request.ids,
            prompt_logprobs=self._prompt_logprobs(request) if params.prompt_logprobs else None,
            finished=reason is not None,
            outputs=[
                SimpleNamespace(
                    text=text, token_ids=[1] * request.tokens, finish_reason=reason, stop_reason=stop_reason
                )
            ],
        )

    def _prompt_logprobs(self, request: _Request) -> list[Any]:
        rows: list[Any] = [None]
        for before, token in zip(request.ids, request.ids[1:], strict=False):
            listed = {token: -9.0, **self.log_probs(before)}
            rows.append({one: SimpleNamespace(logprob=value) for one, value in listed.items()})
        return rows


def write_code(ids: Sequence[int], params: SamplingParams) -> str:
    """Write something that depends on prompt and seed, longer than any limit."""
    return f"    # {sum(ids)} {params.seed}\n    return {len(ids)}\n" * 20


@contextmanager
def fake_vllm(
    write: Callable[[Sequence[int], SamplingParams], str] = write_code,
    *,
    width: int = 3,
    context_tokens: int = 512,
    log_probs: Callable[[int], Mapping[int, float]] = lambda _: {7: -0.1, 8: -2.5},
    refuses: Exception | None = None,
) -> Iterator[list[tuple[dict[str, Any], FakeEngine]]]:
    """Put the package in place of vLLM; yield the arguments and the engine of every `LLM` that is made."""
    made: list[tuple[dict[str, Any], FakeEngine]] = []

    def load(**arguments: Any) -> Any:
        if refuses:
            raise refuses
        config = SimpleNamespace(
            scheduler_config=SimpleNamespace(max_num_seqs=arguments.get("max_num_seqs", width)),
            model_config=SimpleNamespace(
                max_model_len=context_tokens, dtype="torch.float32", quantization=arguments.get("quantization")
            ),
            device_config=SimpleNamespace(device_type="cpu"),
        )
        made.append((arguments, FakeEngine(config, write, log_probs)))
        return SimpleNamespace(llm_engine=made[-1][1])

    names = ("vllm", "vllm.exceptions", "vllm.v1", "vllm.v1.engine", "vllm.v1.engine.exceptions")
    modules = {name: ModuleType(name) for name in names}
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(VLLMValidationError=VLLMValidationError, EngineDeadError=EngineDeadError)
        vars(module).update(LLM=load, SamplingParams=SamplingParams)
        vars(module)["__version__"] = "0.32.0"
    with patch.dict(sys.modules, modules):
        yield made
