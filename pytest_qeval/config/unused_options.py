"""Options that a run does not use: most that are typed are refused, and all others are told at the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_qeval.config.recipes import NOT_IN_SELFTEST
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError
from pytest_qeval.settings import MORE_SUITES, SUITES

_MEASURING = ("divergence", "sensitivity", "efficiency")
_GENERATING = tuple(name for name in (*SUITES, *MORE_SUITES) if name not in _MEASURING)
_EXECUTING = tuple(name for name in _GENERATING if name not in {"summarization", "codesearchnet"})
_OF_ANY_BENCHMARK = ("robustness", "divergence", "sensitivity")


class _Readers(NamedTuple):
    """Suites that read an option."""

    words: str
    example: str
    suites: Sequence[str]


_READ_BY: Mapping[str, _Readers] = {
    **dict.fromkeys(("perturbation", "seeds"), _Readers("the suite robustness", "robustness", ("robustness",))),
    "benchmark": _Readers("the suite robustness, divergence or sensitivity", "robustness", _OF_ANY_BENCHMARK),
    "limit": _Readers("every suite but efficiency", "humaneval", (*_GENERATING, "divergence", "sensitivity")),
    **dict.fromkeys(
        ("samples", "temperature", "max-new-tokens", "prompt"),
        _Readers("suites that generate completions", "humaneval", _GENERATING),
    ),
    **dict.fromkeys(
        ("timeout", "memory", "workers", "strict"),
        _Readers("suites that execute programs", "humaneval", _EXECUTING),
    ),
}
"""Options that only some suites read."""
_OF_MODELS = ("temperature", "top-p", "max-new-tokens", "seed", "device", "threads", "batch-size")
_TOLD = ("seed", "samples", "temperature", "max-new-tokens", "prompt", "timeout", "memory")
"""Not refused where no suite reads them: they are conditions of a saved baseline, and a script may set them for all."""


def settle_unused(settings: RunSettings, values: Values) -> RunSettings:
    """Refuse typed options that the run does not use, and note the others.

    Raises:
        UsageError: naming the option, why it would do nothing, and what to do.
    """
    found = {name: reason for name, reason in _reasons(settings, values) if values.flag(name)}
    for name, reason in found.items():
        if f"--qeval-{name}" in values.typed_options and (
            name not in _TOLD or (settings.replays and name in _OF_MODELS)
        ):
            raise UsageError(f"--qeval-{name} does nothing in this run: {reason}.")
    return replace(settings, unused=tuple(f"{name} ({reason})" for name, reason in found.items()))


def _reasons(settings: RunSettings, values: Values) -> Iterator[tuple[str, str]]:
    """Yield the options that have no effect in a run, whether or not they are given, with the reason."""
    if settings.selftest:
        yield from ((name, "a self-test evaluates no model") for name in NOT_IN_SELFTEST)
    elif settings.replays:
        for name in _OF_MODELS:
            if name != "seed" or not settings.until_decided:  # which draws the order of the problems
                yield name, "the completions of a samples file are generated already"
    if values.names_files:
        yield "suite", "test files are named, which replace the suites: leave one of the two out"
    elif settings.suites:
        yield from _unread(settings.suites, len(settings.benchmarks))
    yield from ((name, reason) for name, applies, reason in _CONDITIONS if applies(settings))


def _unread(suites: Sequence[str], n_benchmarks: int) -> Iterator[tuple[str, str]]:
    """Yield the options that no suite of the run reads."""
    for name, readers in _READ_BY.items():
        if set(readers.suites).isdisjoint(suites):
            advice = f"add --qeval-suite {readers.example}, or leave the option out"
            yield name, f"it is read by {readers.words}, and this run has {', '.join(suites)}: {advice}"
    if n_benchmarks > 1 and "robustness" not in suites and not set(suites).isdisjoint(_OF_ANY_BENCHMARK):
        yield "benchmark", "divergence and sensitivity use one benchmark, and several are given: leave one"


def _draws(settings: RunSettings) -> bool:
    return bool(settings.generation.temperature or settings.calibration_texts)


_CONDITIONS: Sequence[tuple[str, Callable[[RunSettings], bool], str]] = (
    (
        "top-p",
        lambda settings: not settings.replays and not settings.generation.temperature,
        "greedy decoding takes the likeliest token: add --qeval-temperature 0.2, or leave it out",
    ),
    (
        "seed",
        lambda settings: not (settings.replays or settings.until_decided or _draws(settings)),
        "nothing is random",
    ),
    (
        "strict",
        lambda settings: settings.baseline is None and settings.baseline_file is None,
        "there is no baseline to regress from: add --qeval-recipe, or leave it out",
    ),
    (
        "require-proof",
        lambda settings: not settings.gates,
        "no gate is set: add --qeval-gate 'pass@1 drop <= 2pt', or leave it out",
    ),
)
