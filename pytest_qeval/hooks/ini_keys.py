"""Refuse what an ini file says of this plugin and pytest does not read: it only warns, and no gate is judged."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import iniconfig
import pytest

from pytest_qeval.config.origins import overridden_keys, place_of_key
from pytest_qeval.errors import UsageError, did_you_mean
from pytest_qeval.options import OPTIONS, Option

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_OURS = re.compile(r"(pytest_)?qeval(_|$)")
"""How a key begins that is meant for this plugin, or the name of a section."""
_LIKE_PYTESTS = re.compile(r"pytest|qeval|ini_options")
"""In the name of a section that somebody takes for pytest's or for ours."""
_NEAR = 0.8
_NAMES = [option.dest.removeprefix("qeval_") for option in OPTIONS]
_NATIVE_TOML = (9,)
"""The version of pytest from which on it reads `[tool.pytest]`."""


class _Section(NamedTuple):
    """A section of an ini file, or a table of a TOML file."""

    name: str
    words: tuple[str, ...]
    """Those of the name, in small letters, without the `tool` that they may begin with."""
    keys: tuple[str, ...]


def check_ini_keys(config: pytest.Config, files: Mapping[Path, str]) -> None:
    """Refuse unknown keys, keys in sections that pytest does not read, and values that pytest cannot read.

    Raises:
        UsageError: naming the key or the section, where it is set, and the nearest key.
    """
    for path, text in files.items():
        _check_sections(path, text, config)
    known = config._parser._inidict  # noqa: SLF001 - no public name; other plugins' keys included
    unknown = [*config._get_unknown_ini_keys(), *overridden_keys(config.option)]  # noqa: SLF001 - no public name
    for key in sorted(set(unknown) - known.keys()):
        if re.match("(pytest_)?qeval", _plain(key)):
            guess = _nearest(key)
            where = place_of_key(key, config)
            raise UsageError(f"the key {key!r}, set {where}, is unknown. {guess}pytest --help lists all keys.")
    for option in OPTIONS:
        _check_value(option, config)


def _check_sections(path: Path, text: str, config: pytest.Config) -> None:
    """Refuse a key of ours in a section that pytest does not read."""
    read = _read_by_pytest(path)
    chosen = config.known_args_namespace
    # Who names another ini file, or another folder, means this one not to be read.
    is_read = path == config.inipath or chosen.inifilename or chosen.rootdir
    for section in _sections(path, text):
        key = next(filter(None, (_meant(key, section) for key in section.keys)), None)
        if key and not (is_read and section.name in read):
            target = config.inipath or path
            raise UsageError(
                f"{path} has the section [{section.name}], which pytest does not read. {_nearest(key)}Write such keys "
                f"beside pytest's own, into [{_read_by_pytest(target)[0]}] of {target.name}."
            )


def _read_by_pytest(path: Path) -> tuple[str, ...]:
    """Return the sections that pytest reads in a file of this name."""
    if path.suffix == ".cfg":
        return ("tool:pytest",)
    if path.suffix != ".toml" or path.name in {"pytest.toml", ".pytest.toml"}:
        return ("pytest",)
    native = ("tool.pytest",) if pytest.version_tuple[:1] >= _NATIVE_TOML else ()
    return ("tool.pytest.ini_options", *native)


def _sections(path: Path, text: str) -> Iterator[_Section]:
    """Yield the sections of a file; none of one that cannot be read, of which pytest tells if it is its own."""
    try:
        if path.suffix == ".toml":
            yield from _tables((), tomllib.loads(text))
            return
        found = iniconfig.IniConfig(path, data=text).sections
    except (tomllib.TOMLDecodeError, iniconfig.ParseError):
        return
    for name, keys in found.items():
        yield _section(name, re.split("[.:]", name), keys)


def _tables(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[_Section]:
    yield _section(".".join(path), path, table)
    for key, value in table.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from _tables((*path, key), inner)


def _section(name: str, words: Iterable[str], keys: Iterable[str]) -> _Section:
    plain = tuple(_plain(word.strip()) for word in words)
    return _Section(name, plain[1:] if plain[:1] == ("tool",) else plain, tuple(keys))


def _meant(key: str, section: _Section) -> str:
    """Return the key of ours that stands in a section, as pytest should read it; empty for one that is not ours.

    Where the section is named after this plugin, its keys need no prefix.
    """
    if section.words and not _LIKE_PYTESTS.search(section.words[0]):
        return ""
    plain, inner = _plain(key), [word for word in section.words if word not in {"pytest", "ini_options"}]
    prefix = _OURS.match(plain)
    if not prefix and inner[:1] not in (["qeval"], ["pytest_qeval"]):
        return ""
    name = plain[prefix.end() :] if prefix else plain
    return f"qeval_{name}" if difflib.get_close_matches(name, _NAMES, n=1, cutoff=_NEAR) else ""


def _plain(text: str) -> str:
    """Write a key or a word in small letters, however its parts are joined."""
    return re.sub(r"\W", "_", text.casefold())


def _check_value(option: Option, config: pytest.Config) -> None:
    try:
        config.getini(option.dest)
    except (TypeError, ValueError, pytest.UsageError) as error:  # some versions of pytest raise the first two
        expected = "true or false" if option.flag else "a list of texts" if option.repeatable else "a text in quotes"
        where = place_of_key(option.dest, config)
        raise UsageError(f"{option.dest}, set {where}, expects {expected}: {error}.") from error


def _nearest(key: str) -> str:
    """Suggest the nearest key, however its words are joined."""
    return did_you_mean(_plain(key), [option.dest for option in OPTIONS])
