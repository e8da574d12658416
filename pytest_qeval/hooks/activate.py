"""Whether a session is active at all.

Every pytest session on the machine imports this module, so what only some sessions need is imported by functions.
"""

from __future__ import annotations

import os

import pytest

from pytest_qeval.errors import QEvalError, UsageError
from pytest_qeval.fixtures import CONTEXT

MARKERS = (
    "qeval(benchmark): run a benchmark by name, *.jsonl file or object; the test takes the fixtures `qeval` and `case`",
    "qeval_robustness(benchmark): run its perturbed problems beside the nominal ones; without a benchmark, the run's",
    "qeval_early: run this test under every recipe before anything is generated",
)
_ACTIVATING = ("model", "completions", "selftest", "endpoint", "candidate")


def activate(config: pytest.Config) -> None:
    """Read the settings; when there is a model or a samples file, register what evaluates it.

    Raises:
        pytest.UsageError: for whatever the user can fix, before anything is loaded.
    """
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    try:
        if config.getoption("help"):
            return  # pytest shows its help, whatever else stands beside it
        if not hasattr(config, "workerinput"):
            _check_ini(config)
        if any(_is_given(config, f"qeval_{name}") for name in _ACTIVATING):
            from pytest_qeval.hooks.start import start  # noqa: PLC0415

            start(config)
        else:
            _check_typed(config)
    except QEvalError as error:
        from pytest_qeval.config.origins import with_origin  # noqa: PLC0415

        raise pytest.UsageError(with_origin(error, config)) from error


def _check_ini(config: pytest.Config) -> None:
    """Check the keys of an ini file, or of `-o`, that mentions this plugin."""
    files = {}
    for path in (config.inipath, config.rootpath / "pyproject.toml"):  # the second is ignored beside another one
        if path is not None and path.is_file() and os.access(path, os.R_OK):
            files[path] = path.read_text(encoding="utf-8", errors="replace")
    if any("qeval" in text.casefold() for text in (*files.values(), *_overrides(config))):
        from pytest_qeval.hooks.ini_keys import check_ini_keys  # noqa: PLC0415

        check_ini_keys(config, files)


def _overrides(config: pytest.Config) -> list[str]:
    return config.getoption("override_ini") or []


def _is_given(config: pytest.Config, name: str) -> bool:
    """Return whether an option says anything; an empty one on the command line hides that of the ini file."""
    typed = config.getoption(name)
    return bool(config.getini(name) if typed is None else typed)


def _check_typed(config: pytest.Config) -> None:
    """Refuse options that were typed without a model: a gate that nobody judges must not look as if it held.

    What stands in the ini file, in `addopts` or in the environment is for the sessions that have a model.

    Raises:
        UsageError: naming the option, and what is missing.
    """
    given = any(name.startswith("qeval_") and value is not None for name, value in vars(config.option).items())
    if hasattr(config, "workerinput") or not (given or any(text.startswith("qeval_") for text in _overrides(config))):
        return
    from pytest_qeval.config.origins import typed_options  # noqa: PLC0415

    typed = typed_options(config)
    if not typed:
        return
    empty = next((name for name in ("model", "completions") if f"--qeval-{name}" in typed), None)
    if empty:
        raise UsageError(
            f"--qeval-{empty} is empty, perhaps from a variable that is not set: expected a model or a file."
        )
    raise UsageError(
        f"{typed[0]} without a model does nothing: add --qeval-model (such as --qeval-model demo), "
        "--qeval-completions or --qeval-selftest."
    )


def run_command(config: pytest.Config) -> int | None:
    """Run `--qeval-list`, `--qeval-fit`, `--qeval-compare` or `--qeval-render`, and return its exit status.

    None when nobody asked.

    Raises:
        pytest.UsageError: for whatever the user can fix.
    """
    asked = [config.getoption(f"qeval_{command}") for command in ("list", "fit", "compare")]
    if any(asked) or config.getoption("qeval_render") is not None:
        try:
            _check_ini(config)
        except QEvalError as error:
            raise pytest.UsageError(str(error)) from error
    if config.getoption("qeval_list"):
        from pytest_qeval.hooks.list_command import list_names  # noqa: PLC0415

        return list_names(config)
    if config.getoption("qeval_fit"):
        from pytest_qeval.hooks.fit_command import predict_fit  # noqa: PLC0415

        return predict_fit(config)
    if config.getoption("qeval_compare"):
        from pytest_qeval.hooks.compare_command import compare_runs  # noqa: PLC0415

        return compare_runs(config)
    if config.getoption("qeval_render") is not None:
        from pytest_qeval.hooks.render_command import render_run  # noqa: PLC0415

        return render_run(config)
    return None


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Turn recipes and problems into test cases; skip a test that takes `qeval` when there is nothing to evaluate."""
    if "qeval_recipe" not in metafunc.fixturenames:
        return
    context = metafunc.config.stash.get(CONTEXT, None)
    if context is not None:
        from pytest_qeval.hooks import collect  # noqa: PLC0415

        collect.parametrize(metafunc, context)
        return
    reason = "needs --qeval-model, --qeval-completions or --qeval-selftest"
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=reason))
    metafunc.parametrize("qeval_recipe", [skipped], indirect=True, scope="session", ids=["inactive"])
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", [None], ids=["inactive"])
    if "workload" in metafunc.fixturenames:
        metafunc.parametrize("workload", [None], ids=["inactive"])
