"""What the controller of pytest-xdist hands to each worker before it starts.

A worker on another machine shares no folder with the controller: files that it reads come along as bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from pytest_qeval.config.parse import Settled
from pytest_qeval.config.prompt_format import PromptFormat
from pytest_qeval.measure.machine import available_memory_bytes
from pytest_qeval.schema import PromptStyle
from pytest_qeval.verdict.resume import ResumedRun

CHANNEL = "qeval_channel"
"""Where a worker finds the channel over which it tells what it has collected, and is told its share."""
_INPUT = "qeval"
_HANDED = pytest.StashKey["Handed | None"]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Plain values, which execnet can send."""

    folder: str
    """Of the locks that workers of one machine share."""
    place: int
    """Number of the worker; one that replaces a lost one has its number."""
    n_workers: int
    dist: str
    prompt_style: PromptStyle
    prompt_reason: str
    suites: Sequence[str]
    commits: Sequence[str | None]
    memory_bytes: int | None
    """The worker's share; None leaves that to its own machine."""
    baseline: str | None
    """Path of the saved baseline."""
    journal: str | None = None
    """Path of the journal of the run that goes on."""
    journal_bytes: int = 0
    changed: Sequence[str] = ()
    """See `ResumedRun.changed`."""
    contents: Mapping[str, bytes] | None = None
    """Of these files, by path, for a worker on another machine; None for one on the controller's."""

    def for_another_machine(self) -> Handed:
        """Return the same with the files' contents, and without what is true of the controller's machine alone."""
        found = {self.baseline: None, self.journal: self.journal_bytes}
        contents = {path: _read(Path(path), n_bytes) for path, n_bytes in found.items() if path}
        return replace(self, contents=contents, memory_bytes=None)

    def hand_to(self, workerinput: dict[str, object]) -> None:
        """Put it where the worker finds it; execnet sends lists, and tuples as such."""
        workerinput[_INPUT] = asdict(self)

    def settled(self) -> Settled:
        """Return what the controller has settled."""
        return Settled(
            prompt=PromptFormat(self.prompt_style, self.prompt_reason),
            suites=tuple(self.suites),
            commits=tuple(self.commits),
            memory_bytes=self.memory_bytes or available_memory_bytes() // self.n_workers,
            place=self.place,
        )

    def resumed(self) -> ResumedRun | None:
        """Read the run that goes on as the controller has read it."""
        if self.journal is None:
            return None
        found = ResumedRun.read_part(Path(self.journal), n_bytes=self.journal_bytes)
        return replace(found, changed=tuple(self.changed))

    def unpacked(self) -> Handed:
        """Write the contents to a folder of this machine, and return the same with paths there.

        Workers that share this machine have the folder's name in common.
        """
        folder = Path(tempfile.gettempdir(), Path(self.folder).name)
        folder.mkdir(mode=0o700, exist_ok=True)
        contents = self.contents or {}
        moved = {path: str(folder / f"{self.place}-{Path(path).name}") for path in contents}
        for path, content in contents.items():
            Path(moved[path]).write_bytes(content)
        return replace(
            self,
            folder=str(folder),
            baseline=moved.get(self.baseline or ""),
            journal=moved.get(self.journal or ""),
            contents=None,
        )


def handed_to(config: pytest.Config) -> Handed | None:
    """Return what this worker was handed; None outside of workers."""
    if _HANDED not in config.stash:
        plain = getattr(config, "workerinput", {}).get(_INPUT)
        handed = Handed(**plain) if plain else None
        if handed and handed.contents is not None:
            handed = handed.unpacked()
            config.add_cleanup(partial(shutil.rmtree, handed.folder, ignore_errors=True))
        config.stash[_HANDED] = handed
    return config.stash[_HANDED]


def _read(path: Path, n_bytes: int | None) -> bytes:
    with path.open("rb") as file:
        return file.read(-1 if n_bytes is None else n_bytes)
