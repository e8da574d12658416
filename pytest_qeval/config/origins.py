"""Where options are set: typed, by `PYTEST_ADDOPTS`, by `addopts`, or in the ini file."""

from __future__ import annotations

import os
import re
import shlex
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_qeval.errors import QEvalError

if TYPE_CHECKING:
    import pytest


class _Source(NamedTuple):
    """Words that pytest reads as its command line, and the options in them."""

    place: str
    """Such as `PYTEST_ADDOPTS`; empty for what is typed."""
    options: Namespace


def typed_options(config: pytest.Config) -> Sequence[str]:
    """Return the options of this plugin that the user typed, such as `--qeval-gate`, as options or by `-o`.

    `addopts`, `PYTEST_ADDOPTS` and ini files do not count.
    """
    typed = next(_sources(config)).options
    return [
        option_of(name) for name in _names(config) if getattr(typed, name) is not None or name in overridden_keys(typed)
    ]


def overridden_keys(options: Namespace) -> Sequence[str]:
    """Return the ini keys that `-o KEY=VALUE` sets."""
    return [text.partition("=")[0] for text in options.override_ini or ()]


def place_of_key(key: str, config: pytest.Config) -> str:
    """Return where an ini key is set: `by -o`, `by addopts in …/tox.ini`, `in …/tox.ini`."""
    places = [source.place or "-o" for source in _sources(config) if key in overridden_keys(source.options)]
    return f"by {places[0]}" if places else f"in {config.inipath}"


def with_origin(error: QEvalError, config: pytest.Config) -> str:
    """Return a refusal, and where the options that it is about are set, if they were not typed."""
    message = str(error)
    about = {error.option and f"qeval_{error.option.replace('-', '_')}"}
    about |= {name for name in _names(config) if re.search(rf"{option_of(name)}\b(?!-)", message)}
    found = [place for name in _names(config) if name in about for place in _places(name, config)]
    return f"{message} ({'; '.join(found)})" if found else message


def option_of(name: str) -> str:
    """Return how an ini key is spelled on the command line."""
    return f"--{name.replace('_', '-')}"


def _names(config: pytest.Config) -> Sequence[str]:
    return [name for name in vars(config.option) if name.startswith("qeval_")]


def _sources(config: pytest.Config) -> Iterator[_Source]:
    """Yield what is typed, and what pytest puts before it: the first that sets an option wins.

    Pytest's own parser reads the words, which may be files of words (`@FILE`), or several options in one.
    """
    parse = config._parser.parse_known_args  # noqa: SLF001 - no public name
    yield _Source("", parse(config.invocation_params.args))
    yield _Source("PYTEST_ADDOPTS", parse(shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))))
    place = "-o addopts" if "addopts" in overridden_keys(config.option) else f"addopts in {config.inipath}"
    yield _Source(place, parse(config.getini("addopts")))


def _places(name: str, config: pytest.Config) -> Iterator[str]:
    """Yield where an option is set; nothing for one that was typed, or is not set at all."""
    value = config.getoption(name)
    if value is not None:
        places = [source.place for source in _sources(config) if getattr(source.options, name) is not None]
        for place in places if isinstance(value, list) else places[:1]:  # those of a list are all read
            if place:
                yield f"{option_of(name)} is set by {place}"
    elif name not in {"qeval_list", "qeval_compare", "qeval_fit", "qeval_render"} and config.getini(name):
        yield f"{name} is set {place_of_key(name, config)}"
