"""Making a session active: runtime, controller and, under xdist, the distributor."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pytest_qeval import registry
from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.config.checks import (
    check_calibration,
    check_divergence,
    check_early_stop,
    check_export,
    check_suites,
    settle_recipes,
)
from pytest_qeval.config.prompt_format import settle_prompt, with_style
from pytest_qeval.config.suites import check_used, settle_suites, suite_files
from pytest_qeval.engines.base import EngineProgress, EngineSource
from pytest_qeval.errors import UsageError
from pytest_qeval.execution.isolation import choose_isolation
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.fixtures import RUNTIME
from pytest_qeval.hooks.collect import SAVED
from pytest_qeval.hooks.controller import Controller
from pytest_qeval.hooks.rootdir import check_rootdir
from pytest_qeval.hooks.worker import Worker
from pytest_qeval.hooks.xdist import Distributor, is_distributed, worker_count, worker_name
from pytest_qeval.plan import default_suites
from pytest_qeval.records.run_header import make_header, run_id
from pytest_qeval.report.progress import ProgressLine
from pytest_qeval.run.context import RunContext
from pytest_qeval.schema import Json
from pytest_qeval.session import Session
from pytest_qeval.settings import IsolationName, ModelSettings, Settings
from pytest_qeval.verdict.baseline.reuse import Saved, cache_path, find_saved, open_saved
from pytest_qeval.verdict.gates.checks import check_gates, check_samples, parse_gates
from pytest_qeval.verdict.gates.grammar import Gate

__all__ = ["start"]


def start(config: pytest.Config, settings: Settings) -> None:
    """Check the model, the sandbox and the gates, and register what evaluates and reports.

    Raises:
        QEvalError: for whatever the user can mend, before anything is loaded.
    """
    if not config.getoption("inifilename", None):
        check_rootdir(config.inipath, config.invocation_params.dir)
    names_files = config.args_source is pytest.Config.ArgsSource.ARGS
    settings = settle_recipes(settings)
    distributed, is_worker = is_distributed(config), hasattr(config, "workerinput")
    settings = _with_suites(config, settings, names_files=names_files)
    check_suites(settings)
    check_export(settings)
    for warning in check_calibration(settings):
        _warn(config, warning)
    has_baseline = settings.baseline is not None or settings.baseline_file is not None
    gates = parse_gates(settings.gates, has_baseline=has_baseline)
    # Files may bring benchmarks of their own along: those are known once the tests are collected.
    check_gates(gates, candidates=settings.recipes, benchmarks=None if names_files else registry.names("benchmarks"))
    check_divergence(settings, gates)
    check_early_stop(settings, gates, distributed=distributed or is_worker)
    if not settings.replays:
        check_samples(gates, n_samples=settings.generation.n_samples)
    isolation = cache(partial(choose_isolation, settings.execution.isolation))  # a sandbox is tried out but once
    if is_worker:
        settings, saved = _as_handed(config, settings)
        settings = _with_own_cores(settings, worker_count(config))
        session = None
    else:
        settings, saved, session = _session(config, settings, gates, isolation)
    runtime = RunContext(
        settings,
        gates=gates,
        worker=worker_name(config),
        n_workers=worker_count(config),
        on_progress=_progress(config),
        saved=saved,
        own_perturbations=config.hook.pytest_qeval_perturbations,
        sandboxes=lambda execution: SandboxPool(execution, isolation=isolation()),
    )
    config.stash[RUNTIME] = runtime
    if saved:
        config.stash[SAVED] = saved
    if session:
        controller = Controller(session, distributed=distributed, allure=_allure_folder(config))
        config.pluginmanager.register(controller, "qeval-controller")
        if distributed:
            _distribute(config, runtime, controller, saved)
    if not distributed:
        config.pluginmanager.register(Worker(runtime, allure=_allure_folder(config) is not None), "qeval-performer")
    if not names_files:
        suites = default_suites(settings, gated=[gate.metric for gate in gates], replayed=runtime.samples or ())
        config.args = [str(path) for path in suite_files(suites)]


def _with_suites(config: pytest.Config, settings: Settings, *, names_files: bool) -> Settings:
    """Settle the suites, which a worker is told."""
    if hasattr(config, "workerinput"):
        return replace(settings, suites=tuple(config.workerinput["qeval"]["suites"]))
    settings = settle_suites(settings, names_files=names_files)
    if settings.suites and not names_files:
        check_used(settings.suites, map(str, config.invocation_params.args))
    return settings


def _as_handed(config: pytest.Config, settings: Settings) -> tuple[Settings, Saved | None]:
    """Take the prompt style that the controller has settled, and read the saved baseline that it has checked."""
    handed = config.workerinput["qeval"]  # type: ignore[attr-defined] # xdist's
    path, settings = handed["baseline"], with_style(settings, handed["prompt_style"])
    if path is None:
        return settings, None
    saved = open_saved(Path(path), settings)
    return replace(settings, baseline=saved.baseline.recipe), saved


def _with_own_cores(settings: Settings, n_workers: int) -> Settings:
    """Return a worker its share of the cores, unless the user has divided them.

    Torch would take all of them in every worker, and threads that wait busily keep those of another worker from their
    work: on two cores two workers of the embedded model took twice as long.
    """
    if settings.model.threads or "OMP_NUM_THREADS" in os.environ:
        return settings
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // n_workers)
    return replace(settings, model=replace(settings.model, threads=threads))


def _warn(config: pytest.Config, text: str) -> None:
    """Warn once, whatever the number of workers; where warnings are errors, this is one of usage."""
    if hasattr(config, "workerinput"):
        return
    try:
        config.issue_config_time_warning(pytest.PytestWarning(text), stacklevel=2)
    except pytest.PytestWarning as error:
        raise UsageError(f"{error} (a warning that was made an error)") from None


def _distribute(config: pytest.Config, runtime: RunContext, controller: Controller, saved: Saved | None) -> None:
    folder = Path(tempfile.mkdtemp(prefix="qeval-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    handed = {
        "folder": str(folder),
        "baseline": str(saved.path) if saved else None,
        "prompt_style": runtime.settings.generation.prompt_style,
        "suites": list(runtime.settings.suites),
    }
    distributor = Distributor(folder, runtime, handed=handed, announce=lambda plan: controller.announce(config, plan))
    config.pluginmanager.register(distributor, "qeval-distributor")


def _session(
    config: pytest.Config, settings: Settings, gates: tuple[Gate, ...], isolation: Callable[[], IsolationName]
) -> tuple[Settings, Saved | None, Session]:
    """Find the model and the saved baseline, without loading anything, and begin the session."""
    now = datetime.now(timezone.utc)
    model = _model(settings, settings.model)
    baseline_model = _model(settings, settings.model_of("original")) if settings.original else None
    prompt = settle_prompt(settings)
    settings = with_style(settings, prompt.style)
    header = make_header(
        settings,
        model=model,
        baseline_model=baseline_model,
        prompt_reason=prompt.reason,
        sandbox=isolation(),
        arguments=[str(argument) for argument in config.invocation_params.args],
        now=now,
    )
    saved = find_saved(settings, header)
    if saved:
        settings = replace(settings, baseline=saved.baseline.recipe)
        header = replace(header, saved_baseline=saved.facts())
    session = Session(
        settings,
        header,
        output=settings.output or _new_folder(config.invocation_params.dir / ".qeval", run_id(settings, now)),
        clock=monotonic,
        gates=gates,
        saved=saved.baseline if saved else None,
        cache=cache_path(settings, header),
        n_workers=len(config.getoption("tx", None) or [None]),
    )
    return settings, saved, session


def _allure_folder(config: pytest.Config) -> Path | None:
    folder = config.getoption("allure_report_dir", None)
    return Path(folder) if folder else None


def _model(settings: Settings, model: ModelSettings) -> Json:
    """Check that the model is there, without loading it."""
    if settings.selftest:
        return {"id": NAME, "source": NAME}
    if settings.completions:
        return {"id": settings.completions.name, "source": "samples"}
    source: EngineSource = registry.load("engines", settings.model.engine)
    return source.check(model)


def _new_folder(parent: Path, name: str) -> Path:
    """Choose a folder that does not exist yet; it is made when there is something to write."""
    candidates = [parent / name, *(parent / f"{name}-{number}" for number in range(2, 100))]
    return next((path for path in candidates if not path.exists()), candidates[-1])


def _progress(config: pytest.Config) -> Callable[[str, EngineProgress], None]:
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    if hasattr(config, "workerinput") or config.option.verbose < 0:
        return lambda _recipe, _progress: None
    line = ProgressLine(
        stream=sys.stdout,
        rewrites=sys.stdout.isatty(),
        column=lambda: config.get_terminal_writer().width_of_current_line,
        clock=monotonic,
        uncaptured=capture.global_and_fixture_disabled,
    )
    return line.update
