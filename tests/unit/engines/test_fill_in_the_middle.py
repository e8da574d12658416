"""Fill-in-the-middle tokens are found in the tokenizer, or named by the user, and are single tokens of prompts."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import CodeLlamaTokenizer

from pytest_qeval.engines.base import Request
from pytest_qeval.engines.fill_in_the_middle import FORMS, find_form
from pytest_qeval.engines.hf.decoding import make_decoder
from pytest_qeval.engines.hf.language_model import LanguageModel
from pytest_qeval.engines.hf.rows import PendingSample, Row, TokenCodec
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import UsageError
from pytest_qeval.schema import PREFIX_ONLY, InfillingForm, Prompt
from pytest_qeval.settings import GenerationSettings, ModelSettings

FAMILIES = {
    "Qwen2.5-Coder": ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>"),
    "StarCoder": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>"),
    "SantaCoder": ("<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<fim-pad>"),
    "DeepSeek-Coder": ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<|EOT|>"),  # noqa: RUF001 - its own
    "CodeLlama": ("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"),
    "Codestral": ("[PREFIX]", "[SUFFIX]"),
    "GLM": ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "<|user|>"),
}
PROMPT = Prompt(text="def f(x):\n", suffix="    return x\n")


def with_tokens(tokenizer: Any, tokens: Sequence[str], *, special: bool = True) -> Any:
    """Return the tests' tokenizer with more tokens, some of which a family does not mark as special."""
    more = copy.deepcopy(tokenizer)
    more.add_tokens([AddedToken(token, special=special, normalized=False) for token in tokens], special_tokens=special)
    return more


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("tokens", FAMILIES.values(), ids=FAMILIES)
def test_both_sides_stand_between_single_tokens(tokenizer: Any, tokens: Sequence[str], *, special: bool) -> None:
    """In the order of the family, with the text of both sides unchanged."""
    named = with_tokens(tokenizer, tokens, special=special)
    form = find_form({token.content for token in named.added_tokens_decoder.values()}, None, name="m")
    (ids,) = TokenCodec(named, [named.eos_token_id]).encode([form.fill(PROMPT)])
    marks = [named.convert_tokens_to_ids(token) for token in tokens]

    assert form.template in {one.template for one in FORMS}
    assert sorted(one for one in ids if one in marks) == sorted(marks[:3])
    assert named.decode(list(ids)).count(PROMPT.suffix) == named.decode(list(ids)).count(PROMPT.text) == 1
    assert set(tokens) <= {*form.stops}


def test_every_family_is_tested() -> None:
    assert {find_form(tokens, None, name="m").template for tokens in FAMILIES.values()} == {
        form.template for form in FORMS
    }


@pytest.mark.parametrize("tokens", [(), ("<|fim_prefix|>", "<|fim_suffix|>"), ("<PRE>", "<SUF>", "<MID>")])
def test_without_all_tokens_of_a_family_the_model_sees_the_prefix(tokens: Sequence[str]) -> None:
    """And the form says so."""
    form = find_form(tokens, None, name="m")

    assert form == PREFIX_ONLY
    assert form.fill(PROMPT) == PROMPT.text
    assert form.summary == "prompts have no fill-in-the-middle tokens: the model sees the prefix only"


def test_codellama_s_tokenizer_puts_its_one_blank_before_the_prefix() -> None:
    """As its authors encode both sides: a beginning of sequence, the prefix as a text of its own, the bare suffix."""
    vocab = {token: at for at, token in enumerate(["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "▁b"])}
    tokenizer = CodeLlamaTokenizer(vocab=vocab, merges=[("▁", "a"), ("▁", "b")])
    form = find_form({token.content for token in tokenizer.added_tokens_decoder.values()}, None, name="m")
    (ids,) = TokenCodec(tokenizer, [2]).encode([form.fill(Prompt(text="a", suffix="b"))])

    assert tokenizer.convert_ids_to_tokens(list(ids)) == ["<s>", "▁<PRE>", "▁a", "▁<SUF>", "b", "▁<MID>"]


def test_no_blank_at_the_beginning_of_a_completion_is_lost() -> None:
    """Behind a special token, which has no text, sentencepiece would drop the first."""
    vocab = {token: at for at, token in enumerate(["<unk>", "<s>", "</s>", "▁", "a", "b", "▁▁"])}
    tokenizer = CodeLlamaTokenizer(vocab=vocab, merges=[("▁", "▁")])
    codec = TokenCodec(tokenizer, [2])
    (prompt_ids,) = codec.encode(["▁<PRE> a▁<SUF>b▁<MID>"])
    sample = PendingSample(request=Request(key="k", prompt=""), index=0, prompt_ids=prompt_ids, max_new_tokens=9)
    row: Any = Row(sample=sample, rng=None, drafts=None, admitted_at=0.0, ids=[vocab["▁▁"], vocab["a"]])  # type: ignore[arg-type]

    assert codec.finish(row).completion.text == "  a"


@pytest.mark.parametrize("special", [True, False])
def test_a_token_of_the_family_ends_a_completion(
    tokenizer: Any, make_model: Callable[[str], Any], *, special: bool
) -> None:
    """Whether or not the tokenizer calls it special: models write it where their text goes on to another file."""
    named = with_tokens(tokenizer, FAMILIES["Qwen2.5-Coder"], special=special)
    codec, stop = TokenCodec(named, [named.eos_token_id]), "<|fim_pad|>"
    form = find_form(FAMILIES["Qwen2.5-Coder"], None, name="m")
    sample = PendingSample(
        request=Request(key="k", prompt="", stops=form.stops), index=0, prompt_ids=(5,), max_new_tokens=9
    )
    row: Any = Row(sample=sample, rng=None, drafts=None, admitted_at=0.0)  # type: ignore[arg-type]
    reasons = [codec.append(row, token) for token in (*named("x = 1").input_ids, named.convert_tokens_to_ids(stop))]

    assert [*{*reasons[:-1]}, reasons[-1]] == [None, "stop"]
    assert codec.finish(row).completion.text == "x = 1"


def test_braces_of_a_program_stay() -> None:
    """Only the two places of the template are filled, once."""
    form = InfillingForm(template="<P>{prefix}<S>{suffix}{x}<M>")

    assert form.fill(Prompt(text="{suffix} {0}", suffix="{prefix}")) == "<P>{suffix} {0}<S>{prefix}{x}<M>"
    assert form.fill(Prompt(text="no suffix")) == "no suffix"


def test_the_user_names_the_tokens() -> None:
    """In any order, and with text beside them; they end a completion, those of a known family with their kin."""
    tokens = {"<A>", "<B>", "<C>", "  "}
    form = find_form(tokens, "<A>{suffix}<B>{prefix}", name="m")
    known = find_form({*FAMILIES["StarCoder"]}, FORMS[1].template, name="m")

    assert form == InfillingForm(template="<A>{suffix}<B>{prefix}", stops=("<A>", "<B>"))
    assert known == find_form({*FAMILIES["StarCoder"]}, None, name="m")
    assert find_form(tokens, "{prefix}", name="m") == PREFIX_ONLY
    with pytest.raises(
        UsageError, match=r"'<X>  y' holds no token of the tokenizer of m, which would read it as plain"
    ):
        find_form(tokens, "<A>{prefix}<X>  y{suffix}", name="m")


def test_a_model_s_tokenizer_tells_its_form(tokenizer: Any, tmp_path: Path) -> None:
    """Before the model is loaded: its weights are not needed."""
    named = with_tokens(tokenizer, FAMILIES["StarCoder"])
    named.save_pretrained(tmp_path / "model")
    demo = resolve(ModelSettings(name="demo"))
    assert demo.path is not None
    shutil.copy(demo.path / "config.json", tmp_path / "model")
    source = ModelSource(kind="directory", name="m", path=tmp_path / "model")

    assert TRANSFORMERS.infilling_form(source, None).template == FORMS[1].template
    assert TRANSFORMERS.infilling_form(demo, None) == PREFIX_ONLY
    with pytest.raises(UsageError, match="'<PRE>' holds no token of the tokenizer of m") as refused:
        TRANSFORMERS.infilling_form(source, "<PRE>{prefix}<SUF>{suffix}<MID>")
    assert refused.value.option == "fim"


def test_a_model_fills_in_after_the_rendered_prompt(tokenizer: Any, make_model: Callable[[str], Any]) -> None:
    """The same completion as after the same tokens; the model's vocabulary need not be larger."""
    form = InfillingForm(template="<eos>{prefix}<file_sep>{suffix}<eos>")
    language_model = LanguageModel(model=make_model("llama"), tokenizer=tokenizer, eos_ids=(tokenizer.eos_token_id,))
    decoder = make_decoder(language_model, GenerationSettings(max_new_tokens=6), rows=2)
    decoder.submit([Request(key="k", prompt=form.fill(PROMPT))])
    while decoder.progress.finished < decoder.progress.total:
        decoder.step()

    separate = [tokenizer(text).input_ids for text in ("<eos>", PROMPT.text, "<file_sep>", PROMPT.suffix, "<eos>")]
    assert decoder.progress.prompt_tokens == sum(map(len, separate))
