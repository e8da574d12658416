"""Replace a folder by a finished one, as a whole or not at all."""

from __future__ import annotations

import errno
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from pytest_qeval.errors import UsageError

_ATTEMPTS = 100
"""At renaming a folder, while other programs may do the same."""
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
"""Errors of a rename if another folder exists there; it may be gone again a moment later."""


def temporary_sibling(directory: Path) -> Path:
    """Return an unused path beside a folder, on the same disk."""
    return directory.with_name(f".{directory.name}.{uuid.uuid4().hex}")


def replace_folder(made: Path, directory: Path, *, mark: str) -> None:
    """Rename the folder `made` to `directory`; an empty folder or an earlier one there is replaced.

    Args:
        made: The finished folder, on the same disk.
        directory: Its new path, which other programs may be replacing at the same time.
        mark: A file that identifies a folder that may be replaced.

    Raises:
        UsageError: There is something else.
    """
    for _ in range(_ATTEMPTS):
        if _is_foreign(directory, mark):
            raise UsageError(
                f"{directory} holds something other than an export (there is no {mark}): empty it, or name another "
                "folder."
            )
        aside = temporary_sibling(directory)
        with suppress(FileNotFoundError):
            directory.rename(aside)
        try:
            made.rename(directory)
        except OSError as error:
            if error.errno not in _TAKEN and not directory.is_dir():  # otherwise another program was faster
                with suppress(FileNotFoundError):
                    aside.rename(directory)
                raise
        else:
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise OSError(f"other programs keep writing there ({_ATTEMPTS} attempts)")


def _is_foreign(directory: Path, mark: str) -> bool:
    """Whether there is something that is no export; a folder that another program is replacing does not count."""
    try:
        names = {entry.name for entry in directory.iterdir()}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
    return bool(names) and mark not in names and not (directory / mark).is_file() and directory.is_dir()
