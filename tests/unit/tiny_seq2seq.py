"""Tiny random models with an encoder, and tokenizers of the kinds that such models have: no weights, no network."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    PLBartConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

CONTEXT = 64
"""Positions of BART's encoder and decoder, each."""
FAMILIES = ["t5", "codet5", "bart", "plbart"]

_LINES = [
    "def add(a, b):\n    return a + b\n",
    "class Point:\n    pass\n",
    "if x:\n    print('größer als 日本語 🎉')\n",
    "for i in range(10):\n    total += i\n",
    "Return the sum of two numbers.\n",
]


class Tiny(NamedTuple):
    """A model in float32 and its tokenizer."""

    model: Any
    tokenizer: Any


def save_tiny(family: str, directory: Path) -> Path:
    """Save a model of a family, as a hub download would lie on disk."""
    tiny = make_tiny(family)
    tiny.model.save_pretrained(directory)
    tiny.tokenizer.save_pretrained(directory)
    return directory


@cache
def make_tiny(family: str) -> Tiny:
    """Make a model of a family; the same one every time."""
    tokenizer = {"t5": _t5_tokenizer, "plbart": _plbart_tokenizer}.get(family, _byte_tokenizer)()
    torch.manual_seed(1)
    model = AutoModelForSeq2SeqLM.from_config(_config(family, tokenizer)).eval().requires_grad_(requires_grad=False)
    if family in {"t5", "codet5"}:
        model.shared.weight.mul_(0.1)  # else what goes in, tied to what comes out, decides alone
    model.generation_config.forced_eos_token_id = None
    if family == "bart":
        model.generation_config.forced_bos_token_id = tokenizer.bos_token_id
    return Tiny(model, tokenizer)


def _config(family: str, tokenizer: Any) -> PreTrainedConfig:
    ids = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    if family in {"t5", "codet5"}:
        layers = {"num_layers": 2, "num_heads": 4}  # both sides: transformers 5.23 generates with no other T5
        width = {"d_model": 32, "d_kv": 8, "d_ff": 64, "initializer_factor": 2.0}
        return T5Config(**ids, **layers, **width, decoder_start_token_id=tokenizer.pad_token_id)
    layers = {"encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    width = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": CONTEXT}
    more = {**layers, **width, "bos_token_id": tokenizer.bos_token_id, "init_std": 0.3}
    if family == "bart":
        return BartConfig(**ids, **more, decoder_start_token_id=tokenizer.eos_token_id)
    return PLBartConfig(**ids, **more)  # its decoder begins with the language that its tokenizer names


def _byte_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE as CodeT5 and BART have, with RoBERTa's special tokens around a text."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<extra_id_0>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(_LINES * 3, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names, extra_special_tokens=["<extra_id_0>"])


def _t5_tokenizer() -> PreTrainedTokenizerFast:
    """Make a unigram model as T5 has, whose first token swallows the blank before it.

    It is made by hand, because two trainings number its pieces differently.
    """
    letters = sorted({letter for line in _LINES for letter in line.replace(" ", "▁")})
    pieces = [(token, 0.0) for token in ("<pad>", "</s>", "<unk>", "<extra_id_0>")]
    pieces += [(word, -3.0) for word in ("▁return", "▁add", "def", "class")]
    backend = Tokenizer(models.Unigram([*pieces, *((letter, -5.0) for letter in letters)], 2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names, extra_special_tokens=["<extra_id_0>"])


def _plbart_tokenizer() -> Any:
    """Train the sentencepiece model of PLBART's own tokenizer, which puts a language behind a text."""
    sentencepiece = pytest.importorskip("sentencepiece")
    from transformers import PLBartTokenizer  # noqa: PLC0415 - needs sentencepiece

    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_LINES * 20), model_writer=trained, vocab_size=110, hard_vocab_limit=False, minloglevel=2
    )
    file = Path(mkdtemp()) / "sentencepiece.bpe.model"
    file.write_bytes(trained.getvalue())
    return PLBartTokenizer(str(file), src_lang="__python__", tgt_lang="__en_XX__")
