"""Tiny random models, and what their tests compute with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BartForConditionalGeneration,
    DeepseekV2Config,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    Qwen3MoeConfig,
    T5Config,
    T5ForConditionalGeneration,
)

TOKENS = torch.arange(24).reshape(2, 12)


def make_llama(*, dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """Make a Llama of two layers, with keys and values of 32 features."""
    torch.manual_seed(0)
    config = {
        "hidden_size": 64,
        "intermediate_size": 176,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 128,
        "tie_word_embeddings": False,
    }
    return LlamaForCausalLM(LlamaConfig(**{**config, **changes})).to(dtype).eval()


def make_gpt2(*, dtype: torch.dtype = torch.float32) -> Any:
    """Make a GPT-2, whose linear layers but the last are Conv1D."""
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=1,
        n_embd=64,
        n_head=2,
        vocab_size=64,
        n_positions=32,
        initializer_range=0.1,
        bos_token_id=0,
        eos_token_id=1,
    )
    return GPT2LMHeadModel(config).to(dtype).eval()


def make_t5(*, dtype: torch.dtype = torch.float32) -> Any:
    """Make a T5."""
    torch.manual_seed(0)
    config = T5Config(vocab_size=64, d_model=64, d_kv=16, d_ff=128, num_layers=1, num_heads=4, decoder_start_token_id=0)
    return T5ForConditionalGeneration(config).to(dtype).eval()


def make_bart(*, dtype: torch.dtype = torch.float32) -> Any:
    """Make a BART, whose decoder's queries and keys have different inputs."""
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=64,
        d_model=64,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=64,
        init_std=0.15,
    )
    return BartForConditionalGeneration(config).to(dtype).eval()


def make_mixture(family: str, *, dtype: torch.dtype = torch.float32) -> Any:
    """Make a mixture of four experts, of which two compute a token: Mixtral, Qwen3-MoE, DeepSeek-V2 or gpt-oss."""
    torch.manual_seed(0)
    size: dict[str, Any] = {
        "vocab_size": 128,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "initializer_range": 0.1,
        "num_experts_per_tok": 2,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    heads = {"kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16, "q_lora_rank": None}
    groups = {"n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
    make: dict[str, Callable[[], Any]] = {
        "mixtral": lambda: MixtralConfig(**size, num_local_experts=4),
        "qwen3_moe": lambda: Qwen3MoeConfig(**size, num_experts=4, moe_intermediate_size=32, head_dim=16),
        "deepseek_v2": lambda: DeepseekV2Config(**size, **heads, **groups, moe_intermediate_size=32),
        "gpt_oss": lambda: GptOssConfig(**size, num_local_experts=4, head_dim=16),
        "llama4": lambda: Llama4TextConfig(
            **{**size, "num_experts_per_tok": 1}, intermediate_size_mlp=64, num_local_experts=4, head_dim=16
        ),
    }
    model = AutoModelForCausalLM.from_config(make[family]())
    for parameter in model.parameters():
        if parameter.ndim != 1:  # biases of experts are matrices, and begin at zero
            nn.init.normal_(parameter, std=0.1)
    return model.to(dtype).eval()


class Pair(nn.Module):
    """A model of two layers."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second


def logits(model: Any) -> torch.Tensor:
    """Run the model forward."""
    more = {"decoder_input_ids": TOKENS[:, :5] + 1} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        out: torch.Tensor = model(input_ids=TOKENS, **more).logits.float()
    return out


def distance(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the relative error."""
    return float((actual - expected).detach().norm() / expected.detach().norm())
