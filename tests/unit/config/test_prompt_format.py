"""The prompt style of a run is settled by the user, or by the chat templates of all its models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_qeval.benchmarks.chat import CHAT_STYLES
from pytest_qeval.config.prompt_format import PromptFormat, choose_prompt_format
from pytest_qeval.engines.sources import resolve
from pytest_qeval.errors import UsageError
from pytest_qeval.schema import Completion
from pytest_qeval.settings import PROMPTS, ModelSettings, PromptName
from tests.unit.config.builders import model_of, settings_of


@pytest.fixture
def chatty(tmp_path: Path) -> str:
    """Copy the embedded model, and give it a chat template."""
    demo = resolve(ModelSettings(name="demo")).path
    assert demo is not None
    shutil.copytree(demo, tmp_path / "chatty")
    (tmp_path / "chatty" / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    return str(tmp_path / "chatty")


def style_of(model: str, prompt: PromptName, original: str | None = None) -> PromptFormat:
    return choose_prompt_format(prompt, settings_of(model, resolved=model_of(model, original)))


@pytest.mark.parametrize(("prompt", "style"), [("auto", "chat"), *((name, name) for name in PROMPTS if name != "auto")])
def test_a_template_allows_every_style(chatty: str, prompt: PromptName, style: str) -> None:
    assert style_of(chatty, prompt).style == style


@pytest.mark.parametrize(("model", "original"), [("demo", None), ("demo", "chatty"), ("chatty", "demo")])
def test_every_model_of_a_run_needs_a_template(chatty: str, model: str, original: str | None) -> None:
    """Also the one that the baseline names: both are asked the same."""
    where = {"chatty": chatty, "demo": "demo", None: None}
    names = where[model] or "", where[original]

    assert style_of(names[0], "auto", names[1]) == PromptFormat("completion", "demo has no chat template")
    for wanted in CHAT_STYLES:
        with pytest.raises(UsageError, match=rf"{wanted}: the tokenizer of demo has no chat.*prompt completion"):
            style_of(names[0], wanted, names[1])


@pytest.mark.parametrize(
    ("name", "who"),
    [("Coder-0.5B", "it"), ("Coder-Instruct", ""), ("coder-1b-it", ""), ("bit-1b", "it"), ("chatglm", "")],
)
def test_a_template_is_doubted_unless_the_name_says_that_the_model_chats(chatty: str, name: str, who: str) -> None:
    """Base models may bring a template; what the user chose is not doubted."""
    path = Path(chatty).rename(Path(chatty).parent / name)
    doubt = f"{path} has a chat template, but its name does not say that it was trained to chat"

    assert style_of(str(path), "auto").doubt == (doubt if who else "")
    assert style_of(str(path), "chat").doubt == ""


@pytest.mark.parametrize(("fenced", "doubt"), [(0, ""), (1, "1 of 3"), (2, "2 of 3"), (3, "")])
def test_a_file_of_both_kinds_of_completions_is_doubted(fenced: int, doubt: str) -> None:
    """Some are read wrongly, whichever style is chosen."""
    texts = ["```python\nreturn 1\n```\n"] * fenced + ["    return 1\n"] * (3 - fenced)
    completions = tuple(Completion(text=text, n_tokens=None, finish_reason="replay") for text in texts)
    replay = settings_of("", "replay", completions=Path("answers.jsonl"), samples={"micro/0": completions})
    found = choose_prompt_format("auto", replay)

    assert found.doubt == (f"{doubt} recorded completions are fenced code" if doubt else "")
    assert choose_prompt_format("completion", replay).doubt == ""


@pytest.mark.parametrize("prompt", PROMPTS)
def test_nobody_chats_where_all_is_filled_in(chatty: str, prompt: PromptName) -> None:
    """A run that also asks for whole functions keeps the style for those."""

    def style(*suites: str) -> str:
        return choose_prompt_format(prompt, settings_of(chatty, resolved=model_of(chatty), suites=suites)).style

    assert style("infilling-single-line", "efficiency") == "completion"
    assert style("infilling-single-line", "micro") == style("efficiency") == style("micro")
    assert style("micro") == ("chat" if prompt == "auto" else prompt)


@pytest.mark.parametrize(("prompt", "style"), [("auto", "completion"), ("completion", "completion"), ("chat", "chat")])
@pytest.mark.parametrize(
    "fields", [{"completions": Path("answers.jsonl")}, {"selftest": True}], ids=lambda f: next(iter(f))
)
def test_a_replay_is_of_completions_unless_told(prompt: PromptName, style: str, fields: dict[str, Any]) -> None:
    """There is no model whose template might be asked for."""
    replay = settings_of("no such model", "replay", **fields)

    assert choose_prompt_format(prompt, replay).style == style
