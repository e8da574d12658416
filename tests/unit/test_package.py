"""The package that the tests import is the one that pip has installed."""

import json
from importlib.metadata import distribution
from pathlib import Path

import pytest

import pytest_qeval


def test_the_installed_package_is_tested() -> None:
    """A wheel is not shadowed by a working tree that the tests happen to lie in."""
    installed = distribution("pytest-qeval")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("an editable installation is the working tree")

    assert Path(pytest_qeval.__file__) == Path(str(installed.locate_file("pytest_qeval/__init__.py"))).resolve()
