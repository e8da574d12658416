"""The prompt style of a run is settled by the user, or by the chat templates of all its models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.config.prompt_format import settle_prompt, with_style
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import UsageError
from pytest_qeval.settings import ModelSettings, PromptName, Settings


@pytest.fixture
def chatty(tmp_path: Path) -> str:
    """Copy the embedded model, and give it a chat template."""
    demo = resolve(ModelSettings(name="demo")).path
    assert demo is not None
    shutil.copytree(demo, tmp_path / "chatty")
    (tmp_path / "chatty" / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    return str(tmp_path / "chatty")


def settings_of(model: str, prompt: PromptName, **fields: Any) -> Settings:
    defaults: dict[str, Any] = {"recipes": ("auto",), "baseline": None, "suites": ()}
    return Settings(model=ModelSettings(name=model), prompt=prompt, **{**defaults, **fields})


@pytest.mark.parametrize(("prompt", "style"), [("auto", "chat"), ("chat", "chat"), ("completion", "completion")])
def test_a_template_allows_both(chatty: str, prompt: PromptName, style: str) -> None:
    assert settle_prompt(settings_of(chatty, prompt)).style == style


@pytest.mark.parametrize(("model", "original"), [("demo", None), ("demo", "chatty"), ("chatty", "demo")])
def test_every_model_of_a_run_needs_a_template(chatty: str, model: str, original: str | None) -> None:
    """Also the one that the baseline names: both are asked the same."""
    where = {"chatty": chatty, "demo": "demo", None: None}
    fields = {"original": where[original], "baseline": "original" if original else None, "recipes": ("as-is",)}

    found = settle_prompt(settings_of(where[model] or "", "auto", **fields))
    assert found == ("completion", "demo has no chat template")
    with pytest.raises(UsageError, match=r"tokenizer of demo has no chat template.*--qeval-prompt completion"):
        settle_prompt(settings_of(where[model] or "", "chat", **fields))


@pytest.mark.parametrize(("prompt", "style"), [("auto", "completion"), ("completion", "completion"), ("chat", "chat")])
@pytest.mark.parametrize(
    "fields", [{"completions": Path("answers.jsonl")}, {"selftest": True}], ids=lambda f: next(iter(f))
)
def test_a_replay_is_of_completions_unless_told(prompt: PromptName, style: str, fields: dict[str, Any]) -> None:
    """There is no model whose template might be asked for."""
    assert settle_prompt(settings_of("no such model", prompt, **fields)).style == style


def test_the_style_is_a_condition_of_the_run() -> None:
    assert with_style(settings_of("demo", "auto"), "chat").generation.prompt_style == "chat"
