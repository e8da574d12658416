"""What limits a comparison, said before its numbers: a pure function of run header and recipes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any, Literal

from pytest_qeval.errors import counted
from pytest_qeval.facts import RecipeFacts, RunHeader
from pytest_qeval.schema import Json
from pytest_qeval.settings import SANDBOX_GAPS

OLD_DAYS = 30
"""Days after which the age of a saved baseline is worth a word."""
_QUANTIZED_NAME = re.compile(
    r"(?<![a-z0-9])(awq|gptq|exl[23]|hqq|bnb|nf4|fp[48]|int[2-8]|w[1-8]a\d{1,2}|[2-8]-?bits?|i?q[2-8]_[0-9a-z_]+)(?![a-z0-9])",
    re.IGNORECASE,
)
"""Formats, schemes and widths by which quantized checkpoints are called: `AWQ`, `w4a16`, `4bit`, `Q4_K_M`."""
_VERSIONS = (
    *("python", "pytest-qeval", "torch", "transformers", "tokenizers", "torchao", "bitsandbytes"),
    "compressed-tensors",
)
"""Packages whose version may change a completion, or what becomes of it."""
_ROUNDING = ("device", "batch.")
"""Beginnings of accepted differences that change the last bits of a result only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One thing to know before the numbers are read."""

    level: Literal["inconclusive", "note"]
    """inconclusive: the comparison does not show what quantization did. note: it does, with a reservation."""
    text: str
    """One sentence, without a full stop."""


def find_remarks(run: RunHeader, recipes: Mapping[str, RecipeFacts], *, baseline: str | None) -> tuple[Remark, ...]:
    """Return what makes the comparison inconclusive, and then what else should be known.

    `recipes` are those that were loaded. Without a baseline there are remarks on the candidates alone.
    """
    found = [
        *(_on_baseline(run, recipes.get(baseline), baseline) if baseline else ()),
        *(_on_saved(run, run.saved_baseline, baseline) if baseline and run.saved_baseline else ()),
        *(_on_engines(run, recipes, baseline) if baseline else ()),
        *_on_gguf(run, recipes),
        *_on_decoding(recipes.values()),
        *_on_servers(recipes.values()),
        *_on_prompt(run),
        *_on_sandbox(run),
        *_on_parts(run),
    ]
    return tuple(sorted(found, key=lambda remark: remark.level == "note"))


def _on_baseline(run: RunHeader, facts: RecipeFacts | None, name: str) -> Iterator[Remark]:
    """Judge the baseline's model: the one that is saved, the one that the user names, or the run's own."""
    saved = (run.saved_baseline or {}).get("model")
    model: Json = saved or run.baseline_model or run.model
    if how := _quantization(model, facts):
        yield Remark(
            level="inconclusive",
            text=f"the baseline {name} is itself quantized ({how}): a drop relative to it says little about the "
            "original model",
        )
    replayed = "samples" in {model.get("source"), run.model.get("source")}  # of whose model nothing is known
    if not (replayed or _is_same(model, run.model) or _accepted(run, "model.")):
        yield Remark(
            level="note",
            text=f"the baseline is {model.get('id')} and the candidate {run.model.get('id')}: if one was not made from "
            "just these weights of the other, differences have other causes than quantization, too",
        )


def _on_parts(run: RunHeader) -> Iterator[Remark]:
    """Say what the times of a run that was resumed cover."""
    if not run.resumed:
        return
    cut = dict.fromkeys(name for part in run.resumed for name in part["cut"])
    more = (
        f", and tokens, throughput and peak memory of {', '.join(cut)} those after they were cut short" if cut else ""
    )
    yield Remark(
        level="note",
        text=f"the run was resumed {run.resumed[-1]['at']}: the evaluation's times are those of its last part{more}",
    )


def _is_same(one: Json, other: Json) -> bool:
    """Whether two models are the same, by their weights or else by name and commit."""
    weights = one.get("weights_sha256")
    if weights and weights == other.get("weights_sha256"):
        return True
    return (one.get("id"), one.get("commit")) == (other.get("id"), other.get("commit"))


def _accepted(run: RunHeader, *beginnings: str) -> list[str]:
    """Return the differences that the user accepts whose names begin so."""
    found = (run.saved_baseline or {}).get("accepted_differences", ())
    return [difference for difference in found if difference.startswith(beginnings)]


def _quantization(model: Json, facts: RecipeFacts | None) -> str:
    """Say how a model is quantized, by what was loaded, its config or its name; empty for one in floating point."""
    if facts and facts.quantized_layers:
        return facts.scheme or counted(facts.quantized_layers, "layer")
    if facts and facts.cache:
        return f"key/value cache of {facts.cache['bits']} bits"
    if model.get("quantization"):
        return str(model["quantization"])
    for key, whose in (("id", "name"), ("made_from", "config")):
        name = PurePath(str(model.get(key) or "")).name
        if named := _QUANTIZED_NAME.search(name):
            return f"{named[1]}, as its {whose} says: {name}"
    return ""


def _on_saved(run: RunHeader, origin: Json, name: str) -> Iterator[Remark]:
    """Judge a baseline that was not run now, or of two runs that are compared the earlier one."""
    if weights := _accepted(run, "model."):
        yield Remark(
            level="inconclusive",
            text=f"the baseline {name} is of other weights than the candidate ({'; '.join(weights)})",
        )
    known = (*_accepted(run, "model.", "versions."), *(rounding := _accepted(run, *_ROUNDING)))
    if others := [difference for difference in _accepted(run, "") if difference not in known]:
        yield Remark(
            level="inconclusive",
            text=f"the baseline {name} was made under other conditions ({'; '.join(others)}), which may be what "
            "changed the outcomes",
        )
    if rounding:
        yield Remark(level="note", text=f"some flips may be numerical: the baseline differs in {'; '.join(rounding)}")
    yield from _on_host(run.host, origin.get("host") or run.host)
    versions = [*_other_versions(run.versions, origin.get("versions") or run.versions)]
    if versions:
        yield Remark(level="note", text=f"the baseline {name} was made with other versions: {', '.join(versions)}")
    age = _days_between(origin.get("started_at"), run.started_at)
    if age is not None and age > OLD_DAYS:
        yield Remark(level="note", text=f"the baseline {name} is {age} days old, of {origin['started_at']}")


def _on_host(ours: Json, theirs: Json) -> Iterator[Remark]:
    if ours == theirs:
        return
    there, here = (f"{host.get('system')}, {host.get('cpu')}" for host in (theirs, ours))
    if there == here:
        yield Remark(level="note", text="the baseline was run with other cores or memory: its costs are not compared")
    else:
        yield Remark(
            level="note",
            text=f"the baseline was run on another machine ({there}; here {here}): scores may differ by rounding, and "
            "its costs are not compared",
        )


def _other_versions(ours: Json, theirs: Json) -> Iterator[str]:
    """Yield the packages whose version matters and differs."""
    for package in _VERSIONS:
        there, here = theirs.get(package, "none"), ours.get(package, "none")
        if there != here:
            yield f"{package} {there} (here {here})"


def _days_between(earlier: Any, later: str) -> int | None:
    """Return the whole days between two moments in ISO 8601; None where one cannot be read."""
    try:
        return (datetime.fromisoformat(str(later)) - datetime.fromisoformat(str(earlier))).days
    except (TypeError, ValueError):  # an edited file; with and without a time zone
        return None


def _on_engines(run: RunHeader, recipes: Mapping[str, RecipeFacts], baseline: str) -> Iterator[Remark]:
    """Name the candidates that another engine than the baseline's has run."""
    theirs = _engine_of(recipes.get(baseline)) or str((run.saved_baseline or {}).get("engine") or "")
    names: dict[str, list[str]] = {}
    for name, facts in recipes.items():
        ours = _engine_of(facts)
        if theirs and ours and facts.role == "candidate" and ours != theirs:
            names.setdefault(ours, []).append(name)
    for ours, those in names.items():
        yield Remark(
            level="note",
            text=f"{', '.join(those)} was run by another engine than the baseline's ({ours}; {baseline} by {theirs}): "
            "differences may come from the engine as well as from quantization",
        )


def _on_gguf(run: RunHeader, recipes: Mapping[str, RecipeFacts]) -> Iterator[Remark]:
    """Say what is not judged where transformers runs a GGUF file."""
    if run.model.get("source") == "gguf" and run.engine == "transformers" and recipes:
        yield Remark(
            level="note",
            text="GGUF weights were unpacked to floating point: llama.cpp's own arithmetic was not judged "
            "(--qeval-engine llamacpp does)",
        )


def _engine_of(facts: RecipeFacts | None) -> str:
    return facts.engine if facts else ""


def _on_servers(recipes: Iterable[RecipeFacts]) -> Iterator[Remark]:
    """Say what a server cannot do."""
    for facts in recipes:
        if facts.execution == "server":
            yield from (Remark(level="note", text=f"{facts.name}: {note}") for note in facts.notes)


def _on_decoding(recipes: Iterable[RecipeFacts]) -> Iterator[Remark]:
    """Name the recipes that are not decoded alike in every batch, together where the reason is the same."""
    names: dict[str, list[str]] = {}
    for facts in recipes:
        if facts.batch_dependence:
            names.setdefault(facts.batch_dependence, []).append(facts.name)
    for reason, those in names.items():
        yield Remark(
            level="note",
            text=f"completions of {', '.join(those)} may depend on batch and threads ({reason}): some flips may be "
            "numerical",
        )


def _on_prompt(run: RunHeader) -> Iterator[Remark]:
    if run.prompt_doubt:
        style = run.generation.get("prompt_style")
        yield Remark(level="note", text=f"the prompt style {style} is a guess: {run.prompt_doubt}")


def _on_sandbox(run: RunHeader) -> Iterator[Remark]:
    if gap := SANDBOX_GAPS.get(run.sandbox):
        yield Remark(level="note", text=f"the sandbox {run.sandbox} is not the strongest: {gap}")
