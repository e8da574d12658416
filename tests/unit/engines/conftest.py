"""Tiny random models and a small byte-level tokenizer, made on the fly: no weights, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

CONTEXT = 128

_LINES = [
    "def add(a, b):\n    return a + b\n",
    "class Point:\n    pass\n",
    "if x:\n    print('größer als 日本語 🎉')\n",
    "for i in range(10):\n    total += i\n",
]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Compute on one thread: for models this small a second one only waits, and on a busy machine for long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """A byte-level BPE of 320 tokens, of which many are parts of multi-byte characters."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<eos>", "<file_sep>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_LINES * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", extra_special_tokens=["<file_sep>"])  # noqa: S106


def _config(family: str, tokenizer: Any) -> PreTrainedConfig:
    size = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "initializer_range": 0.3,  # the default of 0.02 makes logits that hardly depend on the context
    }
    if family == "gpt2":
        names = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
        shared = ("vocab_size", "eos_token_id", "bos_token_id", "initializer_range")
        return GPT2Config(**names, **{name: size[name] for name in shared})
    if family == "neox":
        return GPTNeoXConfig(**size)
    if family == "mistral":
        return MistralConfig(**size, num_key_value_heads=2, sliding_window=12)
    return {"llama": LlamaConfig, "qwen2": Qwen2Config}[family](**size, num_key_value_heads=2)


@pytest.fixture(scope="session")
def make_model(tokenizer: Any) -> Callable[[str], Any]:
    """Make a random float32 model of a family; the same one every time."""
    made: dict[str, Any] = {}

    def make(family: str) -> Any:
        if family not in made:
            torch.manual_seed(0)
            model = (
                AutoModelForCausalLM.from_config(_config(family, tokenizer)).eval().requires_grad_(requires_grad=False)
            )
            eos = tokenizer.eos_token_id
            model.generation_config = GenerationConfig(eos_token_id=eos, pad_token_id=eos)
            made[family] = model
        return made[family]

    return make
