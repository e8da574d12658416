"""Options that a run does not use: most that are typed are refused, and all others are told at the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.suites import MEASURING, default_suites
from pytest_qeval.config.values import Values
from pytest_qeval.config.without_model import NOT_IN_SELFTEST
from pytest_qeval.errors import UsageError
from pytest_qeval.settings import INFILLING, MORE_SUITES, SUITES

_GENERATING = tuple(name for name in (*SUITES, *MORE_SUITES) if name not in MEASURING)
_EXECUTING = tuple(name for name in _GENERATING if name not in {"summarization", "codesearchnet"})
_OF_ANY_BENCHMARK = ("robustness", "divergence", "sensitivity", "efficiency")


class _Readers(NamedTuple):
    """Suites that read an option."""

    words: str
    example: str
    suites: Sequence[str]


_READ_BY: Mapping[str, _Readers] = {
    **dict.fromkeys(("perturbation", "seeds"), _Readers("the suite robustness", "robustness", ("robustness",))),
    "benchmark": _Readers(
        "the suite robustness, divergence, sensitivity or efficiency", "robustness", _OF_ANY_BENCHMARK
    ),
    **dict.fromkeys(
        ("samples", "batch-size", "baseline-drafts"),
        _Readers("suites that generate completions", "humaneval", _GENERATING),
    ),
    **dict.fromkeys(
        ("temperature", "max-new-tokens"),
        _Readers("suites that generate completions, and efficiency", "humaneval", (*_GENERATING, "efficiency")),
    ),
    "divergence-texts": _Readers("the suite divergence", "divergence", ("divergence",)),
    "control": _Readers("divergence and suites that generate completions", "humaneval", (*_GENERATING, "divergence")),
    "prompt": _Readers(
        "suites that can ask for completions by chat",
        "humaneval",
        (*(name for name in _GENERATING if name not in INFILLING), "efficiency"),
    ),
    "fim": _Readers("suites that fill in code", "infilling-single-line", (*INFILLING, *_OF_ANY_BENCHMARK[1:])),
    **dict.fromkeys(
        ("timeout", "memory", "workers"),
        _Readers("suites that execute programs", "humaneval", (*_EXECUTING, "efficiency")),
    ),
    "strict": _Readers("suites that execute programs", "humaneval", _EXECUTING),
}
"""Options that only some suites read."""
_OF_MODELS = (
    *("temperature", "top-p", "max-new-tokens", "seed", "fim", "device", "threads", "batch-size"),
    *("country", "power-watts", "embodied"),
)
_OF_LOADING = (
    *("recipe", "revision", "trust-remote-code", "device", "threads", "batch-size", "export", "calibration"),
    *("allow-overlap", "baseline-drafts", "country", "power-watts", "embodied"),
)
"""Options about a model in this process, and the energy of this machine."""
_OF_VLLM = ("recipe", "revision", "trust-remote-code", "batch-size")
"""Those of them that vLLM reads all the same."""
_TOLD = ("seed", "samples", "temperature", "max-new-tokens", "prompt", "timeout", "memory", "batch-size", "data")
"""Not refused where no suite reads them: conditions of a saved baseline, and a folder, which a script may set for all.
"""
_WITHOUT_CODE = ("demo", "gguf")
"""Kinds of models that come without classes of their own."""
NO_GATE = "no gate is set: add --qeval-gate 'pass@1 drop <= 2pt', or leave it out"
OF_GATES = ("require-proof", "allow-missing")
"""Options that only change how gates are judged."""


def settle_unused(settings: RunSettings, values: Values) -> RunSettings:
    """Refuse typed options that the run does not use, and note the others.

    Raises:
        UsageError: naming the option, why it would do nothing, and what to do.
    """
    found = dict(values.ignored)
    for name, reason in _reasons(settings, values):
        if values.flag(name):
            found.setdefault(name, reason)
    for name, reason in found.items():
        if name not in values.ignored and (name not in _TOLD or _needs_model(name, settings)):
            refuse_typed(name, reason, values)
    return replace(settings, unused=tuple(f"{name} ({reason})" for name, reason in found.items()))


def _needs_model(name: str, settings: RunSettings) -> bool:
    """Return whether an option is of no use to any suite of such a run."""
    return (settings.replays and name in _OF_MODELS) or (settings.all_served and name in _OF_LOADING)


def refuse_typed(name: str, reason: str, values: Values) -> None:
    """Refuse an option without effect if the user typed it.

    Raises:
        UsageError: with the reason.
    """
    if f"--qeval-{name}" in values.typed_options:
        raise UsageError(f"--qeval-{name} does nothing in this run: {reason}.")


def _reasons(settings: RunSettings, values: Values) -> Iterator[tuple[str, str]]:
    """Yield the options that have no effect in a run, whether or not they are given, the best reason first."""
    if settings.selftest:
        yield from ((name, "a self-test evaluates no model") for name in NOT_IN_SELFTEST)
    elif settings.replays:
        for name in _OF_MODELS:
            if name != "seed" or not settings.until_decided:  # which draws the order of the problems
                yield name, "the completions of a samples file are generated already"
    elif settings.all_served:
        used = ("threads", "recipe") if settings.model.llama else _OF_VLLM if settings.model.vllm else ()
        who = "vLLM computes, in its own way" if settings.model.vllm else "servers compute, in their own way"
        reason = f"the model is not loaded by this program: {who}"
        yield from ((name, reason) for name in _OF_LOADING if name not in used)
    if values.names_files:
        yield "suite", "test files are named, which replace the suites: leave one of the two out"
    else:
        yield from _unread(settings)
    yield from ((name, reason) for name, applies, reason in _CONDITIONS if applies(settings))


def _unread(settings: RunSettings) -> Iterator[tuple[str, str]]:
    """Yield the options that no suite of the run reads."""
    suites = default_suites(settings, replayed=settings.samples or ())
    chosen_by_benchmark = not settings.suites and not settings.replays
    for name, readers in _READ_BY.items():
        if set(readers.suites).isdisjoint(suites) and not (name == "benchmark" and chosen_by_benchmark):
            advice = f"add --qeval-suite {readers.example}, or leave the option out"
            yield name, f"it is read by {readers.words}, and this run has {', '.join(suites)}: {advice}"
    if len(settings.benchmarks) > 1 and "robustness" not in suites:
        yield "benchmark", "the suites of this run use one benchmark, and several are given: name only one"


def _draws(settings: RunSettings) -> bool:
    return bool(settings.generation.temperature or settings.calibration_texts)


_CONDITIONS: Sequence[tuple[str, Callable[[RunSettings], bool], str]] = (
    (
        "top-p",
        lambda settings: not settings.generation.temperature,
        "greedy decoding takes the likeliest token: add --qeval-temperature 0.2, or leave it out",
    ),
    (
        "seed",
        lambda settings: not (settings.until_decided or _draws(settings)),
        "nothing is random",
    ),
    (
        "strict",
        lambda settings: not settings.compares,
        "there is no baseline to regress from: add --qeval-recipe, in a replay --qeval-baseline FILE.json.gz",
    ),
    (
        "baseline-drafts",
        lambda settings: not settings.compares,
        "there is no baseline: add --qeval-recipe, or leave it out",
    ),
    *((name, lambda settings: not settings.gates, NO_GATE) for name in OF_GATES),
    *(
        (
            name,
            lambda settings: not settings.calibration_texts,
            "only static activations are calibrated, as in --qeval-recipe w8a8-static-mse: add one, or leave it out",
        )
        for name in ("calibration", "allow-overlap")
    ),
    (
        "trust-remote-code",
        lambda settings: (
            settings.resolved is not None and all(one.kind in _WITHOUT_CODE for one in settings.resolved.sources)
        ),
        "no code comes with the embedded model or a GGUF file: leave it out",
    ),
)
