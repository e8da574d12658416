"""Turn the generated source of one function into the function."""

from collections.abc import Callable
from typing import cast


def define(source: str, name: str) -> Callable[..., object]:
    """Execute source that this package has composed itself and return the function it defines."""
    namespace: dict[str, object] = {}
    exec(compile(source, "<generated>", "exec"), namespace)  # noqa: S102 - never anything but this package's own tables
    return cast("Callable[..., object]", namespace[name])
