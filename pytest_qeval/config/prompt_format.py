"""How a run formats prompts, completion or chat: chosen once, before anything is loaded, for every model of the run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from pytest_qeval.benchmarks.chat_marks import begins_with_thought
from pytest_qeval.benchmarks.code_blocks import is_fenced
from pytest_qeval.config.run_settings import RunSettings
from pytest_qeval.config.suites import MEASURING
from pytest_qeval.errors import UsageError
from pytest_qeval.schema import PromptStyle
from pytest_qeval.settings import INFILLING, PromptName

_TEMPLATE = "there is a chat template (for a base model that brings one: --qeval-prompt completion)"

_FOLLOWS = re.compile(r"(?<![a-z])(instruct\w*|chat\w*|it|thinking|assistant|sft|dpo)(?![a-z])", re.IGNORECASE)
"""How models that were trained to chat are called: `Qwen2.5-Coder-0.5B-Instruct`, `gemma-3-1b-it`."""


class PromptFormat(NamedTuple):
    """A run's prompt style, and why it is that."""

    style: PromptStyle
    reason: str
    doubt: str = ""
    """Why it may be wrong; empty where the user chose it, or there is no choice."""


def choose_prompt_format(wanted: PromptName, settings: RunSettings) -> PromptFormat:
    """Choose the prompt style: what the user wants, else what every model of the run can read.

    An encoder reads the bare `source`; a model with a chat template is prompted by `chat`, unless all that is generated
    is filled in. A replay has no model: its file holds completions unless the user says that they are chat completions,
    or most of them are fenced code.

    Raises:
        UsageError: when chat is wanted, and a model has no template.
    """
    if settings.resolved is None:
        return _format_of_samples(settings) if wanted == "auto" else _as_wanted(wanted)
    if wanted == "completion":
        return _as_wanted(wanted)
    models = settings.resolved.models
    sources = [source for _, source in models]
    if wanted == "auto" and all(source.encoder_decoder for source in sources):
        return PromptFormat("source", "an encoder reads the prompt")
    generating = {*settings.suites} - {*MEASURING}
    if generating and generating <= {*INFILLING}:
        return PromptFormat("completion", "no chat message asks for code to be filled in")
    lacking = next((source for engine, source in models if not engine.has_chat_template(source)), None)
    if lacking is None:
        names = [source.name for source in sources]
        return PromptFormat("chat", _TEMPLATE, _doubt_of(names)) if wanted == "auto" else _as_wanted(wanted)
    if wanted != "auto" and lacking.endpoint:
        raise UsageError(
            f"--qeval-prompt {wanted}: {lacking.endpoint} does not answer messages to {lacking.name}. Ask for "
            "completions: --qeval-prompt completion."
        )
    if wanted != "auto":
        raise UsageError(
            f"--qeval-prompt {wanted}: the tokenizer of {lacking.name} has no chat template, neither chat_template in "
            "tokenizer_config.json (tokenizer.chat_template in a GGUF file) nor chat_template.jinja. Name a model that "
            "was trained to chat, or ask for completions: --qeval-prompt completion."
        )
    return PromptFormat("completion", f"{lacking.name} has no chat template")


def _doubt_of(names: Sequence[str]) -> str:
    """Doubt that a model follows messages where its name does not say so: base models may bring a template as well."""
    silent = next((name for name in names if not _FOLLOWS.search(PurePath(name).name)), None)
    return f"{silent} has a chat template, but its name does not say that it was trained to chat" if silent else ""


def _as_wanted(wanted: PromptStyle) -> PromptFormat:
    return PromptFormat(wanted, f"as --qeval-prompt {wanted} says")


def _format_of_samples(settings: RunSettings) -> PromptFormat:
    """Take a file for chat completions where most are fenced code or thoughts, which is no Python as it stands."""
    texts = [one.text for completions in (settings.samples or {}).values() for one in completions]
    thoughts = sum(map(begins_with_thought, texts))
    chats = sum(begins_with_thought(text) or is_fenced(text) for text in texts)
    kind = "begin with a thought or are fenced code" if thoughts else "are fenced code"
    doubt = f"{chats} of {len(texts)} recorded completions {kind}" if 0 < chats < len(texts) else ""
    if 2 * chats > len(texts):
        return PromptFormat(
            "chat",
            f"{chats} of {len(texts)} recorded completions {kind} "
            "(to execute them as they are: --qeval-prompt completion)",
            doubt,
        )
    some = f", though {chats} {kind}, which --qeval-prompt chat extracts" if chats else ""
    return PromptFormat("completion", f"recorded completions are taken for what follows the prompt{some}", doubt)
