"""Keeping a run's baseline for later runs, and what of a kept one a run is told."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any as Settings

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.schema import Case, Json, Record
from pytest_qeval.verdict.baseline.file import Baseline, differences, read_baseline, write_baseline

__all__ = ["BaselineWriter", "as_baseline", "baseline_writer", "replayed"]

_ANSWERS = ("record", "scores")


class BaselineWriter:
    """Remembers what is newly found out about the baseline, and writes it."""

    def __init__(self, recipe: str, *, path: Path | None, cache: Path | None, saved: Baseline | None) -> None:
        """Prepare.

        Args:
            recipe: Whose messages are kept.
            path: Where the user wants it written.
            cache: Where it is kept for the next run.
            saved: What was kept before, and is not run again.

        Raises:
            UsageError: when `path` cannot be written: better now than after hours.
        """
        self._recipe = recipe
        self._path = path
        self._cache = cache
        self._saved = saved
        self._messages: dict[object, Json] = {}
        if path is not None:
            _probe(path)

    def add(self, message: Json) -> None:
        """Take a message; the last of its kind counts, except for what several workers add up."""
        if self._recipe not in {message.get("recipe"), message.get("name")}:
            return
        kind = message["type"]
        subject: object = (kind, message.get("benchmark"), message.get("task_id"))
        if kind == "record":
            subject = Record.from_dict(message).case
        elif kind in {"generation", "stream"}:
            subject = (kind, len(self._messages))
        self._messages[subject] = message

    def write(self, conditions: Json, run: Json, *, planned: Sequence[tuple[str, Case]]) -> Iterator[str]:
        """Write what there is; give what a person should know about it.

        Args:
            conditions: Under which the baseline holds.
            run: The run's header.
            planned: What was to be asked.

        Raises:
            UsageError: when the user's file cannot be written, or would lose answers.
        """
        messages = tuple(self._messages.values())
        loaded = next((message for message in messages if message["type"] == "recipe"), {})
        key = {**conditions, **{name: loaded[name] for name in ("device", "dtype") if loaded.get(name)}}
        fresh = Baseline(recipe=self._recipe, key=key, run=run, messages=messages)
        is_new = any(message["type"] in _ANSWERS for message in messages)
        if self._cache and is_new:
            with suppress(UsageError):  # a cache that cannot be written is no reason to fail
                write_baseline(self._cache, self._saved.merged(fresh) if self._saved else fresh)
        return iter(self._write_path(self._saved.merged(fresh) if self._saved else fresh, planned))

    def _write_path(self, baseline: Baseline, planned: Sequence[tuple[str, Case]]) -> list[str]:
        if self._path is None:
            return []
        if not any(message["type"] in _ANSWERS for message in baseline.messages):
            return [f"no baseline was saved: {self._recipe} was asked nothing"]
        missing = {case for recipe, case in planned if recipe == self._recipe} - baseline.records.keys()
        before = _readable(self._path)
        if before and not differences(baseline.key, before.key) and before.recipe == baseline.recipe:
            baseline = before.merged(baseline)
        elif missing and self._path.exists():
            raise UsageError(
                f"{self._path} was left as it is: {len(missing)} of this run's cases are missing. Run it to its end, "
                "or name another file by --qeval-save-baseline."
            )
        write_baseline(self._path, baseline)
        lacking = f", {len(missing)} are missing" if missing else ""
        return [f"baseline: {self._path} ({baseline.recipe}, {len(baseline.records)} cases{lacking})"]


def baseline_writer(settings: Settings, *, saved: Baseline | None, cache: Path | None) -> BaselineWriter | None:
    """Make a baseline_writer where anything is to be kept: the baseline, or the only recipe of a run without one.

    Raises:
        UsageError: when the user's file cannot be written.
    """
    if settings.save_baseline is None and cache is None:
        return None
    recipe = settings.baseline or settings.candidates[0]
    return BaselineWriter(recipe, path=settings.save_baseline, cache=cache, saved=saved)


def replayed(
    saved: Baseline, costs: Mapping[str, object], cases: Collection[Case], *, whole: bool, streams: bool
) -> Iterator[Json]:
    """Yield what a run is told of a saved baseline.

    Args:
        saved: The baseline.
        costs: What costs depend on here; where that was otherwise, none are told.
        cases: That are not asked again.
        whole: Whether these are all that the baseline was asked: otherwise what they took is not known.
        streams: Whether its single stream is not measured again.
    """
    comparable = all(saved.key.get(name) == value for name, value in costs.items())
    told = saved if comparable and whole else saved.without_costs()
    for message in told.messages:
        if message["type"] != "stream" and (message["type"] != "record" or Record.from_dict(message).case in cases):
            yield as_baseline(message)
    if comparable and streams:
        yield from (message for message in saved.messages if message["type"] == "stream")


def as_baseline(message: Json) -> Json:
    """Let a recipe's facts be those of a baseline, which it need not have been in the run that it is from."""
    return {**message, "role": "baseline"} if message["type"] == "recipe" else message


def _readable(path: Path) -> Baseline | None:
    try:
        return read_baseline(path)
    except DataError:
        return None


def _probe(path: Path) -> None:
    """Make sure that a file can be written, without writing it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with path.open("ab"):
            pass
        if not path.stat().st_size:
            path.unlink()
    except OSError as error:
        raise UsageError(
            f"the baseline cannot be written to {path}: {error.strerror}. Name a file that can be made and written to."
        ) from error
