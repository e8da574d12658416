"""A session is active when the user names a model, a samples file or the self-test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Configure = Callable[..., pytest.Config]
OBJECTS = ("qeval-controller", "qeval-performer", "qeval-distributor")


def registered(config: pytest.Config) -> list[str]:
    return [name for name in OBJECTS if config.pluginmanager.has_plugin(name)]


def test_an_ordinary_session_registers_nothing(configure: Configure) -> None:
    """Only the markers are declared, so that suites can be collected."""
    config = configure()

    assert registered(config) == []
    assert any(line.startswith("qeval(benchmark)") for line in config.getini("markers"))


def test_help_needs_no_model(configure: Configure) -> None:
    """Options beside `--help` are not refused."""
    assert registered(configure("--help", "--qeval-strict")) == []


def test_a_samples_file_makes_one_process_evaluate_and_report(configure: Configure, samples: Path) -> None:
    """Without workers both objects are in the same process."""
    config = configure("--qeval-completions", str(samples))

    assert registered(config) == ["qeval-controller", "qeval-performer"]
    assert [Path(path).name for path in config.args] == ["test_micro.py"]


@pytest.mark.parametrize("key", ["qeval_model = demo", "qeval_selftest = true"])
def test_the_ini_file_can_name_what_is_evaluated(configure: Configure, pytester: pytest.Pytester, key: str) -> None:
    """As the command line does."""
    pytester.makeini(f"[pytest]\n{key}\n")

    assert registered(configure("--qeval-suite", "micro")) == ["qeval-controller", "qeval-performer"]


def test_files_on_the_command_line_replace_the_suites(configure: Configure, samples: Path) -> None:
    """A user's own tests are run instead."""
    assert configure("--qeval-completions", str(samples), "test_own.py").args == ["test_own.py"]


def test_a_controller_of_workers_runs_no_test(configure: Configure, samples: Path) -> None:
    """It distributes and reports."""
    pytest.importorskip("xdist")
    config = configure("-p", "xdist.plugin", "-n2", "--qeval-completions", str(samples))

    assert registered(config) == ["qeval-controller", "qeval-distributor"]
