"""Make a session active: put the run together and register its hooks."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pytest_qeval.benchmarks.selftest import NAME
from pytest_qeval.config.checks import calibration_warnings, check_perturbations
from pytest_qeval.config.ci import read_ci, step_summary
from pytest_qeval.config.parse import read_settings
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.suites import default_suites, suite_files
from pytest_qeval.config.values import Values
from pytest_qeval.errors import UsageError, about
from pytest_qeval.execution.cgroup import describe_limits
from pytest_qeval.execution.isolation import choose_isolation
from pytest_qeval.execution.sandbox import SandboxPool
from pytest_qeval.facts import RunHeader
from pytest_qeval.fixtures import CONTEXT
from pytest_qeval.hooks.controller import Controller
from pytest_qeval.hooks.handed import Handed, handed_to
from pytest_qeval.hooks.interrupts import Interrupts, end_with_controller
from pytest_qeval.hooks.own_perturbations import call_hook
from pytest_qeval.hooks.worker import Worker
from pytest_qeval.hooks.xdist import Distributor, is_distributed, worker_name
from pytest_qeval.measure.energy import EnergyMeter
from pytest_qeval.measure.shared_energy import MachineMeter
from pytest_qeval.records.run_header import host, run_id, versions
from pytest_qeval.report.progress import OnProgress, ProgressLine, show_nothing
from pytest_qeval.run.context import RunContext
from pytest_qeval.schema import Json
from pytest_qeval.session import Session
from pytest_qeval.settings import IsolationName
from pytest_qeval.verdict.baseline.key import cache_path, key_of
from pytest_qeval.verdict.baseline.reuse import SavedBaseline, find_saved, open_saved
from pytest_qeval.verdict.resume import ResumedRun

_SHOWING = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test", "cacheshow")
"""pytest's options, by their destinations, that run no test; `--markers` and `--help` begin no session."""


def start(config: pytest.Config) -> None:
    """Read the settings, find the saved baseline, and register what evaluates and reports.

    Raises:
        QEvalError: for whatever the user can fix, before anything is loaded.
    """
    if is_distributed(config) and config.getoption("dist") == "each":
        raise UsageError("--dist each would evaluate every case in every worker: leave it out.")
    names_files = Values(config).names_files
    handed = handed_to(config)
    settings = read_settings(config, handed.settled() if handed else None)
    if settings is None:
        return
    isolation = cache(partial(choose_isolation, settings.execution.isolation))  # probe for a sandbox only once
    if handed:
        session, (settings, saved) = None, _worker_settings(handed, settings)
        resumed = handed.resumed()
    else:
        _warn(config, calibration_warnings(settings))
        if not names_files:  # else a `conftest.py` beside the tests, which is read later, may have further ones
            check_perturbations(settings, call_hook(config))
        session, settings, saved = _begin_session(config, settings, isolation)
        resumed = session.resumed
    context = RunContext(
        settings,
        worker=worker_name(config),
        n_workers=Values(config).n_planned,
        on_progress=_progress(config),
        saved=saved,
        own_perturbations=partial(call_hook, config),
        sandboxes=lambda execution: SandboxPool(execution, isolation=isolation()),
        shared_folder=Path(handed.folder) if handed else None,
        resumed=resumed,
    )
    config.stash[CONTEXT] = context
    _register(config, context, session, saved, runs_suites=not names_files)
    if handed:
        end_with_controller(handed.folder)
    if not names_files:
        suites = default_suites(settings, replayed=settings.samples or ())
        config.args = [str(path) for path in suite_files(suites)]


def _register(
    config: pytest.Config,
    context: RunContext,
    session: Session | None,
    saved: SavedBaseline | None,
    *,
    runs_suites: bool,
) -> None:
    """Register the hooks of this process: those that report, those that run tests, or both."""
    plugins, allure, distributed = config.pluginmanager, _allure_folder(config), is_distributed(config)
    controller, interrupts = None, Interrupts()
    if session and not _runs_nothing(config):
        interrupts.install(config)
        controller = Controller(session, distributed=distributed, allure=allure, interrupts=interrupts)
        plugins.register(controller, "qeval-controller")
    if distributed:
        distributor = Distributor(
            config,
            context,
            baseline=str(saved.path) if saved else None,
            announce=partial(controller.announce, config) if controller else lambda _: None,
            baseline_record=session.baseline_record if session else lambda *_: None,
        )
        interrupts.add_clean_up(distributor.remove_folder)
        plugins.register(distributor, "qeval-distributor")
    else:
        worker = Worker(
            context,
            is_one_of_many=hasattr(config, "workerinput"),
            allure=allure is not None,
            runs_suites=runs_suites,
        )
        plugins.register(worker, "qeval-worker")


def _runs_nothing(config: pytest.Config) -> bool:
    """Return whether pytest only shows tests, fixtures or its cache, so that there is nothing to report or to judge."""
    return any(config.getoption(name, default=False) for name in _SHOWING)


def _worker_settings(handed: Handed, settings: RunSettings) -> tuple[RunSettings, SavedBaseline | None]:
    """Read the saved baseline that the controller has checked."""
    if handed.baseline is None:
        return settings, None
    named = settings.baseline_file is not None
    saved = open_saved(
        Path(handed.baseline), named=named, candidates=settings.candidates, force=settings.baseline_force
    )
    return replace(settings, baseline=saved.recipe), saved


def _resumed(settings: RunSettings) -> ResumedRun | None:
    """Read the run that goes on; None also for one without a plan, which begins anew in the same folder."""
    if settings.resume is None:
        return None
    with about("resume"):
        found = ResumedRun.read(settings.resume / "records.jsonl")
    return found if found.plan else None


def _warn(config: pytest.Config, texts: list[str]) -> None:
    """Issue warnings; where warnings are errors, they are usage errors."""
    try:
        for text in texts:
            config.issue_config_time_warning(pytest.PytestWarning(text), stacklevel=2)
    except pytest.PytestWarning as error:
        raise UsageError(f"{error} (a warning that was made an error)") from None


def _begin_session(
    config: pytest.Config, settings: RunSettings, isolation: Callable[[], IsolationName]
) -> tuple[Session, RunSettings, SavedBaseline | None]:
    """Describe the run, find the saved baseline, and begin the session."""
    arguments = [str(argument) for argument in config.invocation_params.args]
    header = describe_run(
        settings,
        sandbox=isolation(),
        sandbox_limits=describe_limits(),
        arguments=arguments,
        now=datetime.now(timezone.utc),
        ci=read_ci(os.environ),
    )
    resumed = _resumed(settings)
    cache = None
    if settings.baseline_cached:
        cache = cache_path(header, baseline=settings.baseline, execution=settings.execution, model=settings.model)
    with about("baseline"):
        saved = find_saved(
            key_of(header, execution=settings.execution, replays=settings.replays, any_engine=settings.all_served),
            file=settings.baseline_file,
            # A run that goes on takes none that it did not begin with: it may be a part of its own.
            cached=cache if resumed is None or resumed.has_saved_baseline else None,
            baseline=settings.baseline,
            candidates=settings.candidates,
            force=settings.baseline_force,
        )
        size = settings.model.batch_size  # else it is known once a model is loaded
        if saved and size is not None and not settings.replays:
            saved.check_batch_size(size, "this run is")
    if saved:
        settings = replace(settings, baseline=saved.recipe)
        header = replace(header, saved_baseline=saved.origin())
    output = settings.output or _new_folder(config.invocation_params.dir / ".qeval", header.id)
    if settings.model.llama:  # its output lies beside the reports
        llama = replace(settings.model.llama, logs=output)
        settings = replace(settings, model=replace(settings.model, llama=llama))
    n_workers = Values(config).n_planned
    metered = not (settings.replays or settings.all_served or Values(config).uses_other_machines)
    session = Session(
        settings,
        header,
        output=output,
        claims_output=settings.output is None,
        clock=monotonic,
        saved=saved,
        cache=cache,
        n_workers=n_workers,
        machine=MachineMeter(EnergyMeter(settings.energy)) if n_workers > 1 and metered else None,
        step_summary=step_summary(os.environ),
        resumed=resumed,
        resume_command=shlex.join(["pytest", *arguments, *([] if settings.resume else ["--qeval-resume"])]),
    )
    return session, settings, saved


def describe_run(
    settings: RunSettings,
    *,
    sandbox: str,
    sandbox_limits: str = "",
    arguments: Sequence[str],
    now: datetime,
    ci: Mapping[str, str] | None = None,
) -> RunHeader:
    """Return the header of a run, whose command can be pasted into a shell."""
    model, baseline_model = _models(settings)
    return RunHeader(
        id=run_id([NAME] if settings.selftest else settings.candidates, now),
        started_at=now.isoformat(timespec="seconds"),
        command=shlex.join(["pytest", *arguments]),
        model=model,
        baseline_model=baseline_model,
        engine=settings.model.engine,
        generation=asdict(settings.generation),
        versions=versions(),
        host=host(),
        sandbox=sandbox,
        sandbox_limits=sandbox_limits,
        conditions=settings.resolved.engine.conditions(settings.model) if settings.resolved else {},
        energy=asdict(settings.energy),
        prompt_reason=settings.prompt_reason,
        prompt_doubt=settings.prompt_doubt,
        ci=ci or {},
    )


def _models(settings: RunSettings) -> tuple[Json, Json | None]:
    """Describe the model under test, and the baseline's where that is another one."""
    if settings.selftest:
        return {"id": NAME, "source": NAME}, None
    if settings.resolved is None:
        return {"id": settings.completions.name if settings.completions else "", "source": "samples"}, None
    resolved = settings.resolved
    model = resolved.engine.describe(resolved.source)
    if settings.baseline and settings.baseline in resolved.served and resolved.server_engine:
        return model, resolved.server_engine.describe(resolved.served[settings.baseline])
    return model, resolved.engine.describe(resolved.original) if resolved.original else None


def _allure_folder(config: pytest.Config) -> Path | None:
    folder = config.getoption("allure_report_dir", None)
    return Path(folder) if folder else None


def _new_folder(parent: Path, name: str) -> Path:
    """Choose a folder that does not exist yet; it is made when there is something to write."""
    candidates = [parent / name, *(parent / f"{name}-{number}" for number in range(2, 100))]
    return next((path for path in candidates if not path.exists()), candidates[-1])


def _progress(config: pytest.Config) -> OnProgress:
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    if hasattr(config, "workerinput") or not config.pluginmanager.hasplugin("terminal") or config.option.verbose < 0:
        return show_nothing
    line = ProgressLine(
        stream=sys.stdout,
        rewrites=sys.stdout.isatty(),
        column=lambda: config.get_terminal_writer().width_of_current_line,
        clock=monotonic,
        uncaptured=capture.global_and_fixture_disabled if capture else nullcontext,
    )
    return line.update
