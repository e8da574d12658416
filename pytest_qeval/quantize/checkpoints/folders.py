"""Putting a finished folder in the place of an earlier one, whole or not at all."""

from __future__ import annotations

import errno
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from pytest_qeval.errors import UsageError

__all__ = ["sibling", "take_place"]

_ATTEMPTS = 100
"""At taking a folder's place, which others may take at the same moment."""

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
"""What renaming says when another folder lies there; it may be gone again by the time one looks."""


def sibling(directory: Path) -> Path:
    """Name a folder beside another, on the same disk, that nobody else has."""
    return directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")


def take_place(made: Path, directory: Path, *, mark: str) -> None:
    """Rename a folder to `directory`, where there may be an empty folder or an earlier one, or soon another's.

    Args:
        made: The finished folder, on the same disk.
        directory: Where it is to be.
        mark: The file that makes a folder one of this kind, so that it may be replaced.

    Raises:
        UsageError: when there is something else.
    """
    for _ in range(_ATTEMPTS):
        if _is_foreign(directory, mark):
            raise UsageError(
                f"{directory} holds something other than an export (there is no {mark}): empty it, or name another "
                "folder."
            )
        aside = sibling(directory)
        with suppress(FileNotFoundError):
            directory.rename(aside)
        try:
            made.rename(directory)
        except OSError as error:
            if error.errno not in _TAKEN and not directory.is_dir():  # or else another program was faster
                with suppress(FileNotFoundError):
                    aside.rename(directory)
                raise
        else:
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise OSError(f"other programs keep writing there ({_ATTEMPTS} attempts)")


def _is_foreign(directory: Path, mark: str) -> bool:
    """Whether there is something that is no export; what another program is replacing just now is none."""
    try:
        names = {entry.name for entry in directory.iterdir()}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
    return bool(names) and mark not in names and not (directory / mark).is_file() and directory.is_dir()
