"""The baseline of a model from the hub is run once, and the same online and offline."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_qeval.demo import MODEL_DIR
from tests.fake_hub import FakeHub, read_files
from tests.plugin.runs import read_report

COMMIT = "a" * 40
ASKED = ("--qeval-model", "org/name", "--qeval-suite", "micro", "--qeval-recipe", "w2a16", "--qeval-limit", "1")


@pytest.mark.timeout(600)
def test_the_baseline_of_a_hub_model_is_cached(
    run_afresh: Callable[..., pytest.RunResult], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found again without a connection, and not once `main` has moved: then it is another model."""
    hub = FakeHub(refs={"main": COMMIT}, commits={COMMIT: read_files(MODEL_DIR), "b" * 40: read_files(MODEL_DIR)})
    monkeypatch.setenv("HF_HUB_CACHE", str(pytester.path / "hub"))
    few = (*ASKED, "--qeval-max-new-tokens", "2")
    with hub.served():
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        online = run_afresh(*few, "--qeval-save-baseline", "b.json.gz", "--qeval-output", "online")
        hub.refs["main"] = "b" * 40
        moved = run_afresh(*few, "--qeval-baseline", "b.json.gz")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = run_afresh(*few, "--qeval-revision", COMMIT, "--qeval-output", "offline")

    assert (online.ret, offline.ret) == (pytest.ExitCode.OK, pytest.ExitCode.OK)
    assert moved.ret == pytest.ExitCode.USAGE_ERROR
    moved.stderr.fnmatch_lines([f"*(model.commit: {'b' * 40} here, {COMMIT} there): make the baseline again*"])
    offline.stdout.fnmatch_lines(["qeval: the baseline auto is that of *", "*1 from the saved baseline*"])
    models = [read_report(pytester.path / folder)["run"]["model"] for folder in ("online", "offline")]
    assert [model["commit"] for model in models] == [COMMIT, COMMIT]
