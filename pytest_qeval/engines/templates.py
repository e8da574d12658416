"""Chat templates: whether a model has one, read from its files, and how a message becomes text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_qeval.engines.hub import hub_file
from pytest_qeval.engines.sources import ModelSource
from pytest_qeval.engines.weight_files import gguf_text
from pytest_qeval.errors import EngineError

__all__ = ["has_chat_template", "render"]

_FILE, _CONFIG, _KEY = "chat_template.jinja", "tokenizer_config.json", "chat_template"
_DAY = "26 Jul 2024"
"""What templates that state the date are told, so that a baseline of last week was asked the same; Llama's take this
day where they are told none."""
_PARTS = {"d": "26", "m": "07", "b": "Jul", "B": "July", "y": "24", "Y": "2024", "a": "Fri", "A": "Friday"}
_CLOCK = {"H": "12", "I": "12", "M": "00", "S": "00", "p": "PM", "j": "208", "Z": "UTC", "z": "+0000"}
_REPLACED = "".join(f"|replace('%{letter}', '{text}')" for letter, text in {**_PARTS, **_CLOCK}.items())
_STOPPED_CLOCK = f"{{% macro strftime_now(format) %}}{{{{ format{_REPLACED} }}}}{{% endmacro %}}\n"
"""Put in front of a template that looks at the clock; transformers takes no function from outside for it."""


def has_chat_template(source: ModelSource) -> bool:
    """Return whether a model's tokenizer has a chat template; fetch only small files, load nothing.

    It stands where transformers looks for it: in a file of its own, in the tokenizer's configuration, or in a GGUF
    file's metadata. Of several templates the one named `default` counts.
    """
    if source.kind == "gguf" and source.path is not None:
        return bool(gguf_text(source.path, "tokenizer.chat_template"))
    if _find(source, _FILE):
        return True
    config = _find(source, _CONFIG)
    found = _read(config).get(_KEY) if config else None
    if isinstance(found, list):
        return any(isinstance(entry, dict) and entry.get("name") == "default" for entry in found)
    return bool(found)


def render(tokenizer: Any, user: str, beginning: str) -> str:
    """Return the text in which a user says something and the beginning of an answer stands, special tokens included.

    There is no system message but what the template itself puts there. Models that can think aloud are told not to:
    the beginning of the answer is given.

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
    except Exception as error:  # a template is a program, and raises what it likes
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise EngineError(
            f"the tokenizer's chat template cannot be applied to one message of a user: {reason}. "
            "Ask for completions: --qeval-prompt completion."
        ) from error
    return f"{text}{beginning}"


def _find(source: ModelSource, name: str) -> Path | None:
    if source.path is None:
        return hub_file(source.name, source.revision, name)
    path = source.path / name
    return path if path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}  # what is wrong with it is said by whoever loads it
    return config if isinstance(config, dict) else {}
