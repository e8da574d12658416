"""Refuse what an ini file says of this plugin and pytest does not read: it only warns, and no gate is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_qeval.config.origins import overridden_keys, place_of_key
from pytest_qeval.errors import UsageError, did_you_mean
from pytest_qeval.options import OPTIONS, Option

_SECTION = re.compile(
    r"^[ \t]*\[+[ \t]*(?P<name>(?:tool[.:]|(?:tool\.)?pytest\.(?:ini_options\.)?)?qeval)[ \t]*(?:\.[^\]\n]*)?\][^\n]*\n"
    r"(?:[ \t]*(?:[#;][^\n]*)?\n)*(?:[ \t]*(?P<key>[\w-]+)[ \t]*=)?",
    re.MULTILINE,
)
"""A section of our own, and its first key."""


def check_ini_keys(config: pytest.Config, files: Mapping[Path, str]) -> None:
    """Refuse unknown keys, sections of our own in some files, and values that pytest cannot read.

    Raises:
        UsageError: naming the key or the section, where it is set, and the nearest key.
    """
    for path, text in files.items():
        _check_sections(path, text)
    unknown = [*config._get_unknown_ini_keys(), *overridden_keys(config.option)]  # noqa: SLF001 - no public name
    for key in sorted(set(unknown) - {option.dest for option in OPTIONS}):
        if "qeval" in key.casefold():
            guess = _nearest(key)
            where = place_of_key(key, config)
            raise UsageError(f"the key {key!r}, set {where}, is unknown. {guess}pytest --help lists all keys.")
    for option in OPTIONS:
        _check_value(option, config)


def _check_sections(path: Path, text: str) -> None:
    found = _SECTION.search(f"{text}\n")
    if found:
        guess = _nearest(f"qeval_{found['key'].removeprefix('qeval_')}") if found["key"] else ""
        raise UsageError(
            f"{path} has the section [{found['name']}], which pytest does not read. {guess}Write such keys beside "
            "pytest's own."
        )


def _check_value(option: Option, config: pytest.Config) -> None:
    try:
        config.getini(option.dest)
    except (TypeError, ValueError, pytest.UsageError) as error:  # some versions of pytest raise the first two
        expected = "true or false" if option.flag else "a list of texts" if option.repeatable else "a text in quotes"
        where = place_of_key(option.dest, config)
        raise UsageError(f"{option.dest}, set {where}, expects {expected}: {error}.") from error


def _nearest(key: str) -> str:
    """Suggest the nearest key, however its words are joined."""
    return did_you_mean(re.sub(r"\W", "_", key.casefold()), [option.dest for option in OPTIONS])
