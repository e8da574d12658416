"""Keep pytest from taking a path among the plugin's options for a test path.

pytest chooses its rootdir and ini file before it knows any plugin's options, by every word that is an existing path:
`--qeval-model DIR` makes DIR the project, `--qeval-model=DIR` does not: so pytest is started again with joined words.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_qeval.options import N_VALUES

_ADDOPTS = "PYTEST_ADDOPTS"


def keep_rootdir(config: pytest.Config) -> None:
    """Start pytest again where a path among the options may have moved its rootdir; refuse where that cannot be done.

    Raises:
        pytest.UsageError: when pytest was started by another program, and may have read another project's ini file.
    """
    typed, added = list(map(str, config.invocation_params.args)), shlex.split(os.environ.get(_ADDOPTS, ""))
    words = _expand(typed)
    joined, joined_added = join_paths(words), join_paths(added)
    changed = sorted({*joined, *joined_added} - {*words, *added})
    if not changed:
        return
    if _is_command(typed):
        _start_again(typed, joined, joined_added)
    paths = [word.partition("=")[2] for word in changed]
    if _may_have_moved(config, paths):
        raise pytest.UsageError(
            f"pytest takes {paths[0]} for a test path, which decides where it looks for an ini file and keeps its "
            f"cache. Write the option and its path as one word: {changed[0]}"
        )


def _expand(words: Sequence[str]) -> list[str]:
    """Replace `@FILE` by the lines of the file, which may name others, as pytest does."""
    read = {word: Path(word[1:]).read_text(encoding="utf-8").splitlines() for word in words if word.startswith("@")}
    return [line for word in words for line in (_expand(read[word]) if word in read else [word])]


def join_paths(words: Sequence[str]) -> list[str]:
    """Write an option of ours and the existing paths that follow it as one word each: `--qeval-model=DIR`."""
    joined: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        values = words[at + 1 : at + 1 + N_VALUES.get(word, 0)]
        if word == "--":  # pytest takes all that follows for paths
            return [*joined, *words[at:]]
        if any(value and os.path.exists(value) for value in values):  # noqa: PTH110 - any text may be asked for
            joined += (f"{word}={value}" for value in values)
            at += len(values)
        else:
            joined.append(word)
        at += 1
    return joined


def _may_have_moved(config: pytest.Config, paths: Sequence[str]) -> bool:
    """Return whether paths among the options can have changed anything; those below the project's folder cannot."""
    if config.known_args_namespace.inifilename:
        return False
    start, inipath = config.invocation_params.dir, config.inipath
    if inipath is not None and inipath.parent not in (start, *start.parents):
        return True
    tests = [path.partition("::")[0] for path in config.known_args_namespace.file_or_dir]
    return any(start not in (folder, *folder.parents) for folder in map(Path, map(os.path.abspath, [*paths, *tests])))


def _is_command(typed: Sequence[str]) -> bool:
    """Return whether this process is the command `pytest` or `python -m pytest` with these words, and nothing else."""
    program = Path(sys.argv[0])
    is_pytest = program.stem in {"pytest", "py.test"} or program.parts[-2:] == ("pytest", "__main__.py")
    return is_pytest and bool(sys.executable) and sys.orig_argv[len(sys.orig_argv) - len(typed) :] == typed


def _start_again(typed: Sequence[str], joined: Sequence[str], joined_added: Sequence[str]) -> NoReturn:
    """Replace this process, in which only plugins were imported so far."""
    python = sys.orig_argv[1 : len(sys.orig_argv) - len(typed)]
    environment = {**os.environ, **({_ADDOPTS: shlex.join(joined_added)} if joined_added else {})}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *python, *joined], environment)  # noqa: S606 - without a shell
