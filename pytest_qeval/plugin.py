"""The pytest plugin: hooks, one call each, that do nothing without a model or a samples file.

An active session registers two more objects with hooks: a `Worker` wherever tests are run, and a `Controller` where
the session is reported.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_qeval import hookspec
from pytest_qeval.fixtures import qeval, qeval_recipe
from pytest_qeval.hooks.activate import activate, parametrize, run_command
from pytest_qeval.hooks.rootdir import keep_rootdir
from pytest_qeval.options import add_options

__all__ = ["qeval", "qeval_recipe"]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare what a project may implement."""
    pluginmanager.add_hookspecs(hookspec)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini keys."""
    add_options(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Keep a path among the options from moving the rootdir, before other plugins begin anything."""
    keep_rootdir(early_config)
    yield


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Handle `--qeval-list`, `--qeval-fit`, `--qeval-compare` or `--qeval-render`, and stop."""
    return run_command(config)


def pytest_configure(config: pytest.Config) -> None:
    """Activate the plugin when there is a model or a samples file."""
    activate(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn recipes and problems into test cases."""
    parametrize(metafunc)
