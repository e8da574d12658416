"""Importing torch and transformers leaves the garbage collector and the logging as they were."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from pathlib import Path

import pytest

from pytest_qeval.engines.transformers import _importing


def test_what_is_imported_is_kept_from_the_garbage_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its objects live as long as the process; those that are made later are collected."""
    (tmp_path / "imported_once.py").write_text("OBJECTS = [[] for _ in range(1000)]")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    before = gc.get_freeze_count()
    try:
        with _importing():
            assert not gc.isenabled()
            importlib.import_module("imported_once")
        assert gc.get_freeze_count() >= before + 1000
        assert gc.isenabled()
    finally:
        sys.modules.pop("imported_once", None)
        gc.unfreeze()


def test_nothing_is_frozen_by_later_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is loaded by then could not be freed."""
    (tmp_path / "imported_later.py").write_text("OBJECTS = [[] for _ in range(1000)]")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch", sys)
    before = gc.get_freeze_count()
    with _importing():
        importlib.import_module("imported_later")
    sys.modules.pop("imported_later", None)
    assert gc.get_freeze_count() == before


def test_switches_are_restored() -> None:
    """Also those that the user has set."""
    gc.disable()
    logging.disable(logging.ERROR)
    try:
        with _importing():
            pass
        assert not gc.isenabled()
        assert logging.root.manager.disable == logging.ERROR
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
