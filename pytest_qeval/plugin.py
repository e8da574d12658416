"""The pytest plugin: hooks, one call each, that do nothing without a model or a samples file.

An active session registers two more objects with hooks: a `Worker` wherever tests are run, and a `Controller` where
the session is reported.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_qeval import hookspec
from pytest_qeval.fixtures import qeval, qeval_recipe
from pytest_qeval.hooks.activate import activate
from pytest_qeval.hooks.collect import check, parametrize, reuse
from pytest_qeval.hooks.compare_command import compare_runs
from pytest_qeval.hooks.list_command import list_names
from pytest_qeval.options import add_options

__all__ = ["qeval", "qeval_recipe"]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare what a project may implement."""
    pluginmanager.add_hookspecs(hookspec)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini keys."""
    add_options(parser)


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Handle `--qeval-list` or `--qeval-compare`, and stop."""
    status = list_names(config)
    return compare_runs(config) if status is None else status


def pytest_configure(config: pytest.Config) -> None:
    """Activate the plugin when there is a model or a samples file."""
    activate(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn recipes and problems into test cases."""
    parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Check the collected benchmarks, and find what a saved baseline has."""
    check(config, items)
    yield  # pytest selects and sorts
    reuse(config, items)
