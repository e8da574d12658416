"""How a run asks, completion or chat: settled once, before anything is loaded, for every model of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from pytest_qeval import registry
from pytest_qeval.engines.base import EngineSource
from pytest_qeval.errors import UsageError
from pytest_qeval.schema import PromptStyle
from pytest_qeval.settings import ModelSettings, Settings

__all__ = ["SettledPrompt", "settle_prompt", "with_style"]


_TEMPLATE = "there is a chat template (for a base model that brings one: --qeval-prompt completion)"


class SettledPrompt(NamedTuple):
    """A run's prompt style, and why it is that."""

    style: PromptStyle
    reason: str


def settle_prompt(settings: Settings) -> SettledPrompt:
    """Choose the prompt style: as the user says, else by what every model of the run can read.

    A model with an encoder is given the bare `source`; one with a chat template is asked by `chat`.

    A replay has no model to ask: its file holds completions unless the user says that they are chat answers.

    Raises:
        UsageError: when chat is asked for, and a model has no template.
        ModelSourceError: when there is no such model.
    """
    asked = settings.prompt
    if settings.replays:
        if asked == "auto":
            return SettledPrompt("completion", "recorded completions are taken for what follows the prompt")
        return SettledPrompt(asked, f"as --qeval-prompt {asked} says")
    if asked == "completion":
        return SettledPrompt("completion", "as --qeval-prompt completion says")
    if asked == "auto" and _all_have_encoders(settings):
        return SettledPrompt("source", "an encoder reads the prompt")
    lacking = _without_template(settings)
    if lacking is None:
        return SettledPrompt("chat", "as --qeval-prompt chat says" if asked == "chat" else _TEMPLATE)
    if asked == "chat":
        raise UsageError(
            f"--qeval-prompt chat: the tokenizer of {lacking} has no chat template, neither chat_template in "
            "tokenizer_config.json (tokenizer.chat_template in a GGUF file) nor chat_template.jinja. Name a model that "
            "was trained to chat, or ask for completions: --qeval-prompt completion."
        )
    return SettledPrompt("completion", f"{lacking} has no chat template")


def with_style(settings: Settings, style: PromptStyle) -> Settings:
    """Return the settings of a run that asks in a style."""
    return replace(settings, generation=replace(settings.generation, prompt_style=style))


def _all_have_encoders(settings: Settings) -> bool:
    source: EngineSource = registry.load("engines", settings.model.engine)
    return all(source.has_encoder(model) for model in _models(settings))


def _models(settings: Settings) -> list[ModelSettings]:
    return [settings.model, *([settings.model_of("original")] if settings.original else [])]


def _without_template(settings: Settings) -> str | None:
    """Name the first model of a run that has no chat template; None where all have one."""
    source: EngineSource = registry.load("engines", settings.model.engine)
    return next((model.name for model in _models(settings) if not source.has_chat_template(model)), None)
