"""Where options are set besides the command line: unknown ini keys, and the ini file that a refused value came from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from pytest_qeval.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import pytest

_SHORTEST = 4
"""Characters of a value that is recognised in a sentence without its quotes."""


def refuse_ini_key(key: str, config: pytest.Config) -> NoReturn:
    """Refuse an unknown ini key.

    Raises:
        UsageError: naming the key, the file and the nearest key.
    """
    guess = did_you_mean(key, _destinations(config))
    where = f"{config.inipath} has" if config.inipath else "-o sets"
    raise UsageError(f"{where} the unknown key {key!r}. {guess}pytest --help lists all keys.")


def with_origin(message: str, config: pytest.Config) -> str:
    """Add to a refusal where the options that it is about are set, if they were not typed."""
    found = [
        origin for name in _destinations(config) if _is_about(message, name, config) for origin in _of(name, config)
    ]
    return f"{message} ({'; '.join(found)})" if found else message


def _destinations(config: pytest.Config) -> list[str]:
    return [name for name in vars(config.option) if name.startswith("qeval_")]


def _is_about(message: str, name: str, config: pytest.Config) -> bool:
    """Return whether a message names an option, or quotes a value of it."""
    value = config.getoption(name)
    value = _ini(name, config) if value is None else value
    texts = [str(text) for text in (value if isinstance(value, list | tuple) else [value]) if text]
    return bool(re.search(rf"{_option(name)}\b(?!-)", message)) or any(
        repr(text) in message or (len(text) >= _SHORTEST and not isinstance(value, bool) and text in message)
        for text in texts
    )


def _of(name: str, config: pytest.Config) -> Iterator[str]:
    """Yield where an option is set; nothing for one that was typed, or is not set at all."""
    typed = [str(word) for word in config.invocation_params.args]
    option = _option(name)
    if any(word.partition("=")[0] == option or word.removeprefix("-o").startswith(f"{name}=") for word in typed):
        return
    if config.getoption(name) is not None:
        in_environment = option in os.environ.get("PYTEST_ADDOPTS", "")
        yield f"{option} is set by {'PYTEST_ADDOPTS' if in_environment else f'addopts in {config.inipath}'}"
    elif _ini(name, config) and config.inipath:
        yield f"{name} is set in {config.inipath}"


def _ini(name: str, config: pytest.Config) -> object:
    return None if name in {"qeval_list", "qeval_compare"} else config.getini(name)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
