"""Servers that candidates or the baseline run on: `--qeval-endpoint`, `--qeval-candidate`, `--qeval-baseline URL`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_qeval import registry
from pytest_qeval.config.values import Values
from pytest_qeval.engines.base import EngineSource
from pytest_qeval.engines.openai.address import check_variable, is_address, read_address
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.errors import ModelSourceError, UsageError, about
from pytest_qeval.quantize.recipe import Recipe
from pytest_qeval.settings import LlamaSettings, ModelSettings, ServerSettings

_LABEL = re.compile(r"[A-Za-z0-9][\w.+-]{0,79}")
_TAKEN = ("auto", "as-is", "original", "control", "none", "run", "replay")
_OPTIONS = ("concurrency", "api-key-env", "server-timeout")
"""Options about servers only."""
_LONGEST_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The servers of a run, asked for their models, by recipe: the label of what a server has loaded."""

    engine: EngineSource
    settings: ServerSettings
    """With the address of the first one."""
    candidates: Mapping[str, ModelSource] = field(default_factory=dict)
    baseline: Mapping[str, ModelSource] = field(default_factory=dict)
    """At most one."""

    @property
    def sources(self) -> Mapping[str, ModelSource]:
        """All of them."""
        return {**self.baseline, **self.candidates}

    @property
    def recipes(self) -> dict[str, Recipe]:
        """What stands for them among the recipes; nothing is done to their weights here."""
        return {
            label: Recipe(name=label, summary=f"{source.name} at {source.endpoint}", kept=())
            for label, source in self.sources.items()
        }


def loads_model(values: Values) -> bool:
    """Return whether `--qeval-model` is loaded into this process, and not the name of a model on a server."""
    return bool(values.text("model")) and not values.text("endpoint") and values.text("engine") != "openai"


def find_servers(values: Values) -> Servers | None:
    """Read which servers a run has, and ask them for their models; None where there are none.

    Raises:
        UsageError: for an address, a label or a key that cannot be used, and when a server does not answer.
    """
    addresses = dict(_named_candidates(values))
    baseline = values.text("baseline") or ""
    main = values.text("endpoint")
    if main and values.text("engine") not in {None, "openai"}:
        raise UsageError("--qeval-endpoint is for --qeval-engine openai: leave one of the two out.")
    if not (main or addresses or is_address(baseline)):
        if values.text("engine") == "openai":
            raise UsageError(
                "--qeval-engine openai needs a server: add --qeval-endpoint http://localhost:8080, or "
                "--qeval-candidate NAME=URL."
            )
        return None
    _check_own(values)
    first = read_address(main, "endpoint") if main else ""
    settings = _settings(values, first or next(iter(addresses.values()), "") or read_address(baseline, "baseline"))
    engine: EngineSource = registry.load("engines", "openai")
    candidates = {}
    if main:
        with about("endpoint"):
            source = _find(engine, settings, first, values.text("model") or "")
        candidates[_label_of(source)] = source
    for label, address in addresses.items():
        with about("candidate"):
            if label in candidates:
                raise UsageError(f"two candidates are called {label}: give --qeval-candidate another name.")
            candidates[label] = _find_labelled(engine, settings, address, label)
    found = {}
    if is_address(baseline):
        with about("baseline"):
            source = _find(engine, settings, read_address(baseline, "baseline"), "")
        label = _label_of(source)
        found[f"{label}-baseline" if label in candidates else label] = source
    return Servers(engine=engine, settings=settings, candidates=candidates, baseline=found)


def read_llama(values: Values) -> LlamaSettings | None:
    """Read how llama-server is started; None for other engines.

    Raises:
        UsageError: for a program that another engine would not start.
    """
    program = values.file("llama-server")
    if values.text("engine") != "llamacpp":
        if "--qeval-llama-server" in values.typed_options:
            raise UsageError("--qeval-llama-server does nothing in this run: add --qeval-engine llamacpp.")
        return None
    return LlamaSettings(
        program=Path(program) if program else None, slots=_concurrency(values), processes=values.n_planned
    )


def refuse_without_server(values: Values) -> None:
    """Refuse options that only servers have.

    Raises:
        UsageError: naming the first one that was typed.
    """
    slots = ("concurrency",) if values.text("engine") == "llamacpp" else ()
    for name in _OPTIONS:
        if name not in slots and f"--qeval-{name}" in values.typed_options:
            raise UsageError(
                f"--qeval-{name} does nothing in this run, which asks no server: add --qeval-endpoint URL, or leave it "
                "out."
            )


def _named_candidates(values: Values) -> Iterator[tuple[str, str]]:
    """Yield labels and addresses of `--qeval-candidate`."""
    seen = set()
    for text in values.texts("candidate"):
        label, equals, address = text.partition("=")
        label = label.strip()
        if not (equals and address.strip() and _LABEL.fullmatch(label)):
            raise UsageError(f"--qeval-candidate expects NAME=URL, such as q4=http://localhost:8081, not {label!r}.")
        if label in seen or label in _TAKEN or label in registry.names("recipes"):
            raise UsageError(f"--qeval-candidate: the name {label!r} is taken; choose another one.")
        seen.add(label)
        yield label, read_address(address, "candidate")


def _check_own(values: Values) -> None:
    """Refuse a recipe or a model's name that no model of the run takes."""
    if values.text("model") and not values.text("endpoint") and values.text("engine") == "openai":
        raise UsageError(
            "--qeval-model is the name of the model at --qeval-endpoint, which is missing: --qeval-candidate NAME=URL "
            "brings a name of its own."
        )
    if not loads_model(values) and "--qeval-recipe" in values.typed_options:
        raise UsageError(
            "--qeval-recipe quantizes a model in this process, and a server has loaded its own already: name a server "
            "for each of them (--qeval-candidate NAME=URL), and leave --qeval-recipe out."
        )


def _concurrency(values: Values) -> int | None:
    """Read how many requests are sent at a time; None for `auto`."""
    return None if values.text("concurrency") == "auto" else values.positive("concurrency")


def _settings(values: Values, endpoint: str) -> ServerSettings:
    variable = values.text("api-key-env")
    return ServerSettings(
        endpoint=endpoint,
        concurrency=_concurrency(values),
        processes=values.n_planned,
        key_variable=check_variable(variable) if variable else None,
        patience_s=values.number(
            "server-timeout", float, lambda s: 0 < s <= _LONGEST_S, "seconds above 0, a day at most"
        )
        or ServerSettings(endpoint="").patience_s,
    )


def _find(engine: EngineSource, settings: ServerSettings, endpoint: str, name: str) -> ModelSource:
    return engine.find(ModelSettings(name=name, engine="openai", server=replace(settings, endpoint=endpoint)))


def _find_labelled(engine: EngineSource, settings: ServerSettings, endpoint: str, label: str) -> ModelSource:
    """Find the model that is called like the label; where there is only one, it may have another name."""
    try:
        return _find(engine, settings, endpoint, "")
    except ModelSourceError:
        return _find(engine, settings, endpoint, label)


def _label_of(source: ModelSource) -> str:
    """Make a recipe's name of a model's: the last part of a path, without the ending of a file."""
    last = source.name.rstrip("/").rpartition("/")[2].removesuffix(".gguf")
    label = re.sub(r"[^\w.+-]+", "-", last).strip("-.")[:80]
    return label if label and label not in _TAKEN and label[0].isalnum() else f"server-{label or 'model'}"
