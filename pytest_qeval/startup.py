"""Making a session active: runtime, controller and, under xdist, the distributor."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pytest_qeval import registry
from pytest_qeval.controller import Controller
from pytest_qeval.engines.base import EngineProgress, EngineSource
from pytest_qeval.errors import UsageError
from pytest_qeval.execution.isolation import choose_isolation
from pytest_qeval.fixtures import RUNTIME
from pytest_qeval.performer import Performer
from pytest_qeval.plan import default_suites
from pytest_qeval.recipes_of_run import check_calibration, check_export, check_suites, settle_recipes
from pytest_qeval.report.progress import ProgressLine
from pytest_qeval.rootdir import check_rootdir
from pytest_qeval.run_header import make_header, run_id
from pytest_qeval.runtime import Runtime
from pytest_qeval.schema import Json
from pytest_qeval.session import Session
from pytest_qeval.settings import ModelSettings, Settings
from pytest_qeval.sharing import Distributor, is_distributed, worker_count, worker_name

__all__ = ["start"]


def start(config: pytest.Config, settings: Settings) -> None:
    """Check the model, the sandbox and the gates, and register what evaluates and reports.

    Raises:
        QEvalError: for whatever the user can mend, before anything is loaded.
    """
    if not config.getoption("inifilename", None):
        check_rootdir(config.inipath, config.invocation_params.dir)
    settings = settle_recipes(settings)
    check_suites(settings)
    check_export(settings)
    for warning in check_calibration(settings):
        _warn(config, warning)
    runtime = Runtime(
        settings, worker=worker_name(config), n_workers=worker_count(config), on_progress=_progress(config)
    )
    config.stash[RUNTIME] = runtime
    distributed = is_distributed(config)
    if not hasattr(config, "workerinput"):
        controller = _controller(config, settings)
        config.pluginmanager.register(controller, "qeval-controller")
        if distributed:
            _distribute(config, runtime, controller)
    if not distributed:
        config.pluginmanager.register(Performer(runtime, allure=_allure_folder(config) is not None), "qeval-performer")
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(path) for path in _suite_files(default_suites(settings, runtime.samples or ()))]


def _warn(config: pytest.Config, text: str) -> None:
    """Warn once, whatever the number of workers; where warnings are errors, this is one of usage."""
    if hasattr(config, "workerinput"):
        return
    try:
        config.issue_config_time_warning(pytest.PytestWarning(text), stacklevel=2)
    except pytest.PytestWarning as error:
        raise UsageError(f"{error} (a warning that was made an error)") from None


def _distribute(config: pytest.Config, runtime: Runtime, controller: Controller) -> None:
    folder = Path(tempfile.mkdtemp(prefix="qeval-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    distributor = Distributor(folder, runtime, announce=controller.session.plan)
    config.pluginmanager.register(distributor, "qeval-distributor")


def _controller(config: pytest.Config, settings: Settings) -> Controller:
    now = datetime.now(timezone.utc)
    header = make_header(
        settings,
        model=_model(settings, settings.model),
        baseline_model=_model(settings, settings.model_of("original")) if settings.original else None,
        sandbox=choose_isolation(settings.execution.isolation).name,
        arguments=[str(argument) for argument in config.invocation_params.args],
        now=now,
    )
    output = settings.output or _new_folder(config.invocation_params.dir / ".qeval", run_id(settings, now))
    session = Session(settings, header, output=output, clock=monotonic)
    return Controller(session, distributed=is_distributed(config), allure=_allure_folder(config))


def _allure_folder(config: pytest.Config) -> Path | None:
    folder = config.getoption("allure_report_dir", None)
    return Path(folder) if folder else None


def _model(settings: Settings, model: ModelSettings) -> Json:
    """Check that the model is there, without loading it."""
    if settings.completions:
        return {"id": settings.completions.name, "source": "samples"}
    source: EngineSource = registry.load("engines", settings.model.engine)
    return source.check(model)


def _new_folder(parent: Path, name: str) -> Path:
    """Choose a folder that does not exist yet; it is made when there is something to write."""
    candidates = [parent / name, *(parent / f"{name}-{number}" for number in range(2, 100))]
    return next((path for path in candidates if not path.exists()), candidates[-1])


def _suite_files(names: tuple[str, ...]) -> list[Path]:
    package = Path(__file__).parent
    # A wheel carries the suites inside the package, a checkout beside it.
    folder = next(path for path in (package / "suites", package.parent / "suites") if path.is_dir())
    return [folder / f"test_{name}.py" for name in names]


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
