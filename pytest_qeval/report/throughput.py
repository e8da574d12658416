"""The throughput of the evaluation: a line for the terminal, and the report's section `evaluation`."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_qeval.report.text import Line
from pytest_qeval.schema import Json
from pytest_qeval.summary.throughput import Throughput

_WORDS = {"programs": "waiting for programs"}


def throughput_dict(found: Throughput | None) -> Json | None:
    """Return the report's form; the timelines begin together with their processes."""
    if found is None:
        return None
    return {
        "wall_s": found.wall_s,
        "cases": found.cases,
        "cases_per_min": found.cases_per_min,
        "new_tokens": found.new_tokens,
        "tokens_per_s": found.tokens_per_s,
        "shares": dict(found.shares),
        "programs_s": found.programs_s,
        "timeline": [
            {
                "worker": one.worker,
                "bucket_s": one.bucket_s,
                "phases": {name: list(seconds) for name, seconds in one.phases.items()},
                "new_tokens": list(one.new_tokens),
            }
            for one in found.timelines
        ],
    }


def throughput_lines(found: Throughput | None) -> Iterator[Line]:
    """Yield one line; none where nothing was evaluated."""
    if found is None or not found.cases:
        return
    minutes, seconds = divmod(round(found.wall_s), 60)
    parts = [f"evaluation: {minutes}:{seconds:02d}", f"{found.cases_per_min:.3g} problems/min"]
    if found.new_tokens:
        parts.append(f"{found.tokens_per_s:.3g} tokens/s")
    parts.append(", ".join(f"{_WORDS.get(name, name)} {share:.0%}" for name, share in found.shares.items()))
    workers = f" of {len(found.timelines)} workers" if len(found.timelines) > 1 else ""
    yield Line(f"{' · '.join(parts)}{workers} (programs ran for {found.programs_s:.3g} s)")
