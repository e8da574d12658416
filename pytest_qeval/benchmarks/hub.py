"""Rows of a benchmark from the Hugging Face hub, for want of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_qeval.errors import DataError

__all__ = ["fetch_rows"]


def fetch_rows(hub_id: str, *arguments: str, split: str, title: str, remedy: str) -> Sequence[Mapping[str, Any]]:
    """Fetch a data set with `datasets`, which keeps it for the next time.

    Args:
        hub_id: `owner/name`.
        arguments: what else `load_dataset` takes, such as the name of a configuration.
        split: one of its splits, or several with `+` between them.
        title: what a message calls the benchmark.
        remedy: what helps where the hub cannot be reached.

    Raises:
        DataError: with the remedy.
    """
    try:
        from datasets import load_dataset  # noqa: PLC0415 - heavy, and the last resort
    except ImportError as error:
        raise DataError(f"{title}'s problems are not on this machine: {remedy}.") from error
    try:
        return [dict(row) for row in load_dataset(hub_id, *arguments, split=split)]
    except Exception as error:  # the hub's clients raise the exceptions of whatever transport they use
        reason = " ".join(str(error).split())  # some of them take many lines
        raise DataError(f"{title} could not be fetched from the hub ({reason}): {remedy}.") from error
