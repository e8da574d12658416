"""Watch a model's parameters while a loader sets them, one after the other, and let go of those that are used up.

torch tells of every parameter that a module gets, so this works with every loader of transformers: safetensors in one
file or in shards, GGUF, classes that come with a model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from pytest_qeval.engines.hf.completeness import is_finite
from pytest_qeval.quantize.memory_mapped import NewlyMapped

_RELEASE_BYTES = 2**26
"""Bytes of parameters after which the pages of mapped files are released; each time takes some milliseconds."""
_SEQUENTIAL = "HF_DEACTIVATE_ASYNC_LOAD"
"""Keeps transformers from reading ahead in threads, faster than weights are rounded."""


class Taker(Protocol):
    """Uses up weights while a model is being loaded."""

    def take(self, name: str, tensor: torch.Tensor) -> bool:
        """Take a parameter's values, of which a model needs only the shape afterwards; False leaves them to it."""
        ...


class Arrivals:
    """What happens to each parameter that gets its values."""

    def __init__(self, taker: Taker | None, show: Callable[[int], None] = lambda _: None) -> None:
        """Offer every parameter to the `taker`, and `show` how many elements have arrived so far."""
        self._taker = taker
        self._show = show
        self._elements = 0
        self._unreleased = 0
        self.broken: set[str] = set()
        """Parameters that were taken and are not finite."""

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch all modules that are made meanwhile."""
        files = NewlyMapped()
        with _sequential(), _watch_parameters(lambda name, parameter: self._arrive(name, parameter, files)):
            yield
        files.release()

    def _arrive(self, name: str, parameter: nn.Parameter, files: NewlyMapped) -> nn.Parameter | None:
        self._elements += parameter.numel()
        self._unreleased += parameter.nbytes
        self._show(self._elements)
        taken = self._taker is not None and type(parameter) is nn.Parameter and self._take(name, parameter.detach())
        if self._unreleased > _RELEASE_BYTES:
            self._unreleased = 0
            files.release()
        return _without_values(parameter) if taken else None

    def _take(self, name: str, tensor: torch.Tensor) -> bool:
        assert self._taker is not None  # noqa: S101 - checked by the caller
        taken = self._taker.take(name, tensor)
        if taken and not is_finite(tensor):
            self.broken.add(name)
        return taken


def _without_values(parameter: nn.Parameter) -> nn.Parameter:
    """Return a parameter on the meta device, with the loader's own marks."""
    empty = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)
    empty.__dict__.update(parameter.__dict__)
    return empty


@contextmanager
def _watch_parameters(arrived: Callable[[str, nn.Parameter], nn.Parameter | None]) -> Iterator[None]:
    """Call back with the full name of each parameter that gets values, and set what is returned in its place."""
    places: dict[int, tuple[nn.Module, nn.Module, str]] = {}

    def note(parent: nn.Module, name: str, child: Any) -> None:
        if child is not None:
            places[id(child)] = (child, parent, name)  # the child too, so that no other module gets its id

    def take(module: nn.Module, name: str, parameter: Any) -> nn.Parameter | None:
        if parameter is None or parameter.is_meta:
            return None
        path = [name]
        while id(module) in places:
            _, module, name = places[id(module)]
            path.append(name)
        return arrived(".".join(reversed(path)), parameter)

    hooks = (
        register_module_module_registration_hook(note),
        register_module_parameter_registration_hook(take),  # type: ignore[arg-type] # what it returns is set instead
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _sequential() -> Iterator[None]:
    before = os.environ.get(_SEQUENTIAL)
    os.environ[_SEQUENTIAL] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEQUENTIAL]
        else:
            os.environ[_SEQUENTIAL] = before
