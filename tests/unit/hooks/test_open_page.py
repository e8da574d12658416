"""`--qeval-open` shows the page, or says where it is."""

import webbrowser
from pathlib import Path

import pytest

from pytest_qeval.hooks.open_page import open_page


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses that a browser was given."""
    found: list[str] = []

    def show(url: str) -> bool:
        found.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_a_display_gets_the_page(opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    (tmp_path / "report.html").touch()

    assert open_page(tmp_path) == f"opened {tmp_path / 'report.html'}"
    assert opened == [(tmp_path / "report.html").as_uri()]


def test_without_a_display_the_path_is_said(opened: list[str], tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()

    assert open_page(tmp_path) == f"no display to open it on: {tmp_path / 'report.html'}"
    assert open_page(tmp_path / "selftest").startswith("there is no ")
    assert opened == []
