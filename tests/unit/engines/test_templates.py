"""Chat templates are found where transformers finds them, and render a user message."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest

from pytest_qeval.engines import sources
from pytest_qeval.engines.base import Request
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import TokenCodec
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.engines.templates import has_chat_template, render
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import EngineError, ModelSourceError
from pytest_qeval.settings import GenerationSettings, ModelSettings
from tests.unit.odd_checkpoints import copy_demo

TEMPLATE = (
    "{% for message in messages %}<eos>{{ message.role }}\n{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<eos>assistant\n{% endif %}"
)


@pytest.fixture
def chatting(tokenizer: Any) -> Any:
    """Return the tests' tokenizer with a chat template."""
    chatting = copy.deepcopy(tokenizer)
    chatting.chat_template = TEMPLATE
    return chatting


@pytest.fixture
def directory(tokenizer: Any, tmp_path: Path) -> Path:
    """Save the tests' tokenizer, which has no template."""
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def source(path: Path) -> ModelSource:
    return ModelSource(kind="directory", name=str(path), path=path)


def configure(directory: Path, template: object) -> None:
    file = directory / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), "chat_template": template}), "utf-8")


def test_a_tokenizer_without_a_template_has_none(directory: Path) -> None:
    assert not has_chat_template(source(directory))


def test_a_template_of_its_own_file_is_found(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    assert has_chat_template(source(directory))


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (TEMPLATE, True),
        ("", False),
        (None, False),
        ([{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": TEMPLATE}], True),
        ([{"name": "tool_use", "template": TEMPLATE}], False),
    ],
)
def test_a_template_in_the_configuration_is_found(directory: Path, template: object, *, found: bool) -> None:
    """Of several the default one counts: it is what a message goes through."""
    configure(directory, template)
    assert has_chat_template(source(directory)) == found


def test_what_is_found_is_what_transformers_finds(chatting: Any, tmp_path: Path) -> None:
    """However this version of transformers saves it."""
    chatting.save_pretrained(tmp_path)
    assert has_chat_template(source(tmp_path))


def test_a_broken_configuration_is_left_to_the_loader(directory: Path) -> None:
    for content in ("{", "[]"):
        (directory / "tokenizer_config.json").write_text(content, "utf-8")
        assert not has_chat_template(source(directory))


@pytest.mark.parametrize("template", [TEMPLATE, None])
def test_a_template_in_a_gguf_file_is_found(tmp_path: Path, template: str | None) -> None:
    """Behind the vocabulary, which is skipped."""
    writer = gguf.GGUFWriter(str(tmp_path / "model.gguf"), "llama")
    writer.add_token_list(["<s>", "größer", "b"])
    writer.add_token_scores([0.0, 1.0, 2.0])
    if template:
        writer.add_chat_template(template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert has_chat_template(resolve(ModelSettings(name=str(tmp_path / "model.gguf")))) == bool(template)


def test_only_small_files_of_a_hub_model_are_fetched(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def hub_file(name: str, commit: str | None, file: str) -> Path | None:
        fetched.append((name, commit, file))
        return directory / file if file == "tokenizer_config.json" else None

    monkeypatch.setattr(sources, "hub_file", hub_file)
    configure(directory, TEMPLATE)
    assert has_chat_template(ModelSource(kind="hub", name="a/b", revision="main", commit="ab"))
    assert fetched == [("a/b", "ab", "chat_template.jinja"), ("a/b", "ab", "tokenizer_config.json")]


def test_the_embedded_model_has_none() -> None:
    assert not has_chat_template(resolve(ModelSettings(name="demo")))


def test_a_message_is_followed_by_the_assistant_prefill(chatting: Any) -> None:
    """There is no system message."""
    assert render(chatting, "Add.", "```python\n") == "<eos>user\nAdd.\n<eos>assistant\n```python\n"


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        ("<think>\\n", "<think>\n\n</think>\n\n"),
        ("<seed:think>", "<seed:think>\n</seed:think>\n\n"),
        ("[THINK]", "[THINK]\n[/THINK]\n\n"),
        ("<think>\\n\\n</think>\\n\\n", "<think>\n\n</think>\n\n"),
        ("say <think> ", "say <think> \n</think>\n\n"),
        ("<thing>", "<thing>"),
    ],
)
def test_a_thought_that_a_template_opens_is_closed(chatting: Any, opened: str, closed: str) -> None:
    """The prefill is the beginning of the completion, not of a draft."""
    chatting.chat_template = f"{{{{ '{opened}' }}}}"
    assert render(chatting, "Add.", "```python\n") == f"{closed}```python\n"


def test_a_template_that_needs_more_than_a_message_is_refused_before_loading(tmp_path: Path) -> None:
    """Whether chat was asked for or chosen; plain completions need no template."""
    path = copy_demo(tmp_path / "model")
    message = "{% if messages[0].role != 'system' %}{{ raise_exception('a system message is needed') }}{% endif %}"
    configure(path, message)
    with pytest.raises(
        ModelSourceError, match=r"model: the tokenizer's chat .*message is needed.*--qeval-prompt compl"
    ):
        TRANSFORMERS.has_chat_template(source(path))
    configure(path, TEMPLATE)
    assert TRANSFORMERS.has_chat_template(source(path))


def test_every_day_is_the_same_to_a_template(chatting: Any) -> None:
    """A baseline of last week has been given the same prompts."""
    clock = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y, %A, %H:%M') }}{% endif %}"
    chatting.chat_template = f"\n  {clock} {{{{ date_string }}}} {{{{ enable_thinking }}}}\n"
    assert render(chatting, "", "") == "\n26 Jul 2024, Friday, 12:00 26 Jul 2024 False"


@pytest.mark.parametrize("template", [None, "{{ raise_exception('no') }}", "{% broken"])
def test_a_template_that_cannot_be_used_is_named(chatting: Any, template: str | None) -> None:
    chatting.chat_template = template
    with pytest.raises(EngineError, match=r"chat template cannot render.*--qeval-prompt completion"):
        render(chatting, "Add.", "")


def test_a_message_gets_no_special_tokens_but_the_template_s(chatting: Any) -> None:
    """A tokenizer that begins every text would begin the template's own beginning a second time."""
    chatting.add_special_tokens({"bos_token": "<file_sep>"})

    class Beginning:
        """Adds a token in front as Llama's does, unless the caller forbids it."""

        bos_token_id = chatting.bos_token_id
        added_tokens_decoder = chatting.added_tokens_decoder
        get_chat_template = chatting.get_chat_template
        apply_chat_template = chatting.apply_chat_template

        def __call__(self, texts: list[str], *, add_special_tokens: bool = True) -> Any:
            encoded = chatting(texts, add_special_tokens=False)
            if add_special_tokens:
                encoded["input_ids"] = [[self.bos_token_id, *ids] for ids in encoded["input_ids"]]
            return encoded

    codec = TokenCodec(Beginning(), [chatting.eos_token_id])
    requests = [
        Request(key="a", prompt="def add"),
        Request(key="b", prompt="```python\n", user="Add."),
        Request(key="c", prompt="x"),
    ]
    plain, chat, last = codec.encode_requests(requests)
    assert (plain[0], last[0]) == (chatting.bos_token_id, chatting.bos_token_id)
    assert chat.count(chatting.bos_token_id) == 0
    assert chatting.decode(list(chat)) == "<eos>user\nAdd.\n<eos>assistant\n```python\n"


def test_both_decoders_apply_the_template(chatting: Any, make_model: Callable[[str], Any]) -> None:
    """A message has the completion of the text that it is rendered to."""
    model, generation = make_model("llama"), GenerationSettings(max_new_tokens=6)
    rendered = "<eos>user\nAdd.\n<eos>assistant\n```python\n"

    def completions(decoder: Any) -> list[str]:
        chat = Request(key="chat", prompt="```python\n", user="Add.", stops=("\n```",))
        decoder.submit([chat, Request(key="plain", prompt=rendered, stops=("\n```",))])
        texts = {}
        while decoder.progress.finished < decoder.progress.total:
            texts.update({one.key: one.completion.text for one in decoder.step()})
        return [texts["chat"], texts["plain"]]

    language_model = LanguageModel(model=model, tokenizer=chatting, eos_ids=(chatting.eos_token_id,))
    batch = make_decoder(language_model, generation, rows=2)
    queue = make_decoder(replace(language_model, fallback_reason="test"), generation, rows=2)
    assert completions(queue)[0] == completions(batch)[1] != ""


def test_transformers_takes_the_template_of_a_saved_tokenizer(chatting: Any, directory: Path) -> None:
    """`has_chat_template` and the loaded tokenizer read the same two files."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - beside its one use

    (directory / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    assert AutoTokenizer.from_pretrained(directory).chat_template == TEMPLATE
    (directory / "chat_template.jinja").unlink()
    configure(directory, TEMPLATE)
    assert AutoTokenizer.from_pretrained(directory).chat_template == TEMPLATE
    shutil.rmtree(directory)
