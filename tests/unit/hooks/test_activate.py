"""A session is active when the user names a model, a samples file or the self-test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qeval.config.values import Values
from tests.plugin.runs import REPLAY
from tests.sandboxes import strongest_isolation

Configure = Callable[..., pytest.Config]


def registered(config: pytest.Config) -> set[str]:
    """Return the classes of the objects with hooks that an active session registers."""
    hooks = "pytest_qeval.hooks."
    return {type(one).__name__ for one in config.pluginmanager.get_plugins() if type(one).__module__.startswith(hooks)}


def test_an_ordinary_session_registers_nothing(configure: Configure) -> None:
    """Only the markers are declared, so that suites can be collected."""
    config = configure()

    assert registered(config) == set()
    assert any(line.startswith("qeval(benchmark)") for line in config.getini("markers"))


def test_help_needs_no_model(configure: Configure) -> None:
    """Options beside `--help` are not refused."""
    assert registered(configure("--help", "--qeval-strict")) == set()
    assert registered(configure("--help", "--qeval-selftest", "--qeval-suite", "none")) == set()


def test_a_samples_file_makes_one_process_evaluate_and_report(configure: Configure, samples: Path) -> None:
    """Without workers both objects are in the same process."""
    config = configure(*REPLAY, str(samples))

    assert registered(config) == {"Controller", "Worker"}
    assert [Path(path).name for path in config.args] == ["test_micro.py"]


@pytest.mark.parametrize("key", ["qeval_model = demo", "qeval_selftest = true"])
def test_the_ini_file_can_name_what_is_evaluated(configure: Configure, pytester: pytest.Pytester, key: str) -> None:
    """As the command line does."""
    pytester.makeini(f"[pytest]\n{key}\nqeval_sandbox = {strongest_isolation()}\n")

    assert registered(configure("--qeval-suite", "micro")) == {"Controller", "Worker"}


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([], 1),
        (["--tx=2*popen"], 1),
        (["--dist=load", "--tx=2*popen"], 2),
        (["--dist=load", "--tx=popen", "--tx=popen"], 2),
    ],
)
def test_a_controller_knows_how_many_share_the_cases(configure: Configure, arguments: list[str], count: int) -> None:
    assert Values(configure("-p", "xdist.plugin", *arguments)).n_planned == count


def test_files_on_the_command_line_replace_the_suites(configure: Configure, samples: Path) -> None:
    """A user's own tests are run instead."""
    assert configure(*REPLAY, str(samples), "test_own.py").args == ["test_own.py"]


@pytest.mark.parametrize(
    ("arguments", "plugins"),
    [(["--tx=2*popen"], {"Controller", "Worker"}), (["--dist=load", "--tx=2*popen", "--collect-only"], {"Worker"})],
)
def test_without_workers_one_process_does_all(
    configure: Configure, samples: Path, arguments: list[str], plugins: set[str]
) -> None:
    """`--tx` alone starts none, and neither does `-n 2 --collect-only`, after which there is nothing to report."""
    pytest.importorskip("xdist")

    assert registered(configure("-p", "xdist.plugin", *arguments, f"--qeval-completions={samples}")) == plugins


def test_every_case_in_every_worker_is_refused(configure: Configure, samples: Path) -> None:
    """`--dist each` would count what a recipe costs several times."""
    pytest.importorskip("xdist")
    with pytest.raises(pytest.UsageError, match="--dist each"):
        configure("-p", "xdist.plugin", "--dist=each", "--tx=2*popen", f"--qeval-completions={samples}")


def test_a_controller_of_workers_runs_no_test(configure: Configure, samples: Path) -> None:
    """It distributes and reports."""
    pytest.importorskip("xdist")
    config = configure("-p", "xdist.plugin", "--dist=load", "--tx=2*popen", *REPLAY, str(samples))

    assert registered(config) == {"Controller", "Distributor"}
