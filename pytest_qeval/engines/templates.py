"""Chat templates: find out whether a model has one, and render a user message with it."""

from __future__ import annotations

import re
from typing import Any

from pytest_qeval.engines.model_config import read_json
from pytest_qeval.engines.sources import ModelSource, find_file
from pytest_qeval.errors import EngineError, ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import gguf_text

_FILE, _CONFIG, _KEY = "chat_template.jinja", "tokenizer_config.json", "chat_template"
_DAY = "26 Jul 2024"
"""Date for templates that state it, so that prompts do not change from day to day; the default of Llama's templates."""
_PARTS = {"d": "26", "m": "07", "b": "Jul", "B": "July", "y": "24", "Y": "2024", "a": "Fri", "A": "Friday"}
_CLOCK = {"H": "12", "I": "12", "M": "00", "S": "00", "p": "PM", "j": "208", "Z": "UTC", "z": "+0000"}
_REPLACED = "".join(f"|replace('%{letter}', '{text}')" for letter, text in {**_PARTS, **_CLOCK}.items())
_STOPPED_CLOCK = f"{{% macro strftime_now(format) %}}{{{{ format{_REPLACED} }}}}{{% endmacro %}}\n"
"""Prepended to a template that reads the clock; transformers has no argument for it."""
_OPENED = re.compile(r"(?P<tag><(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?)>|\[THINK\])\s*\Z")
"""The beginning of a thought at the end of a prompt; models of thinking alone have it there, whatever they are told."""


def has_chat_template(source: ModelSource) -> bool:
    """Return whether a model's tokenizer has a chat template, without loading it; fetch only small files.

    As in transformers, the template is a file of its own, a part of the tokenizer's configuration, or of a GGUF file's
    metadata. Of several templates the one named `default` counts.
    """
    if source.kind == "gguf" and source.path is not None:
        return bool(gguf_text(source.path, "tokenizer.chat_template"))
    if find_file(source, _FILE):
        return True
    config = find_file(source, _CONFIG)
    try:
        found = read_json(config).get(_KEY) if config else None
    except ModelSourceError:
        return False  # loading the model reports what is wrong with it
    if isinstance(found, list):
        return any(isinstance(entry, dict) and entry.get("name") == "default" for entry in found)
    return bool(found)


def render(tokenizer: Any, user: str, prefill: str) -> str:
    """Render a user message and the assistant prefill, special tokens included.

    There is no system message except the template's own. Thinking is disabled, because the prefill begins the
    completion: a thought that the template opens is closed at once.

    Raises:
        EngineError: when there is no template, or it refuses.
    """
    message = [{"role": "user", "content": user}]
    try:
        template = tokenizer.get_chat_template()
        if "strftime_now" in template:
            template = _STOPPED_CLOCK + template
        text = tokenizer.apply_chat_template(
            message,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
            date_string=_DAY,
        )
    except Exception as error:  # a template is a program, and can raise anything
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EngineError(
            f"the tokenizer's chat template cannot render a single user message: {reason}. "
            "Use plain completion prompts: --qeval-prompt completion."
        ) from error
    opened = _OPENED.search(text)
    return f"{text}{_close(opened) if opened else ''}{prefill}"


def _close(opened: re.Match[str]) -> str:
    """Return the end of a thought without a word, in the notation of its beginning."""
    tag = opened["tag"]
    return f"\n{tag[0]}/{tag[1:]}\n\n"
