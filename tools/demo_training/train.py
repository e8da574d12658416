"""Train the embedded model.

    PYTHONPATH=tools python -m demo_training.train --output DIR [--steps N] [--seed S] [--threads T] [--compile]

A killed training goes on from its last checkpoint in the output folder.
"""

import argparse
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from demo_training.corpus import Document, documents
from demo_training.tokenizer import END, PAD, token_id, train_tokenizer

CONTEXT: Final = 512
BATCH_DOCUMENTS: Final = 48
POOL_BATCHES: Final = 40
PEAK_RATE: Final = 3e-3
WARM_UP_STEPS: Final = 200
PROMPT_WEIGHT: Final = 0.05
TOKENIZER_DOCUMENTS: Final = 20_000
CHECKPOINT_STEPS: Final = 250
LOG_STEPS: Final = 100

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Hold padded token ids and the weight of each position's loss."""

    ids: torch.Tensor
    weights: torch.Tensor


def encode(tokenizer: Tokenizer, made: Document) -> tuple[list[int], list[float]]:
    """Return a document's token ids with the end token, and the loss weight of each."""
    prompt, body = tokenizer.encode(made.prompt).ids, tokenizer.encode(made.body).ids
    ids = [*prompt, *body, token_id(tokenizer, END)]
    return ids, [PROMPT_WEIGHT] * len(prompt) + [1.0] * (len(body) + 1)


def pack(rows: Sequence[tuple[list[int], list[float]]], pad: int) -> Batch:
    """Put documents of similar length into one rectangle: dense rows in which no document sees another."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), pad)
    weights = torch.zeros(len(rows), width)
    for index, (row, weight) in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        weights[index, : len(row)] = torch.tensor(weight)
    return Batch(ids=ids, weights=weights)


def batches(tokenizer: Tokenizer, seed: int, first_pool: int) -> Iterator[Batch]:
    """Generate batches without end; each pool of documents has a seed of its own, so that training can resume."""
    pad, pool = token_id(tokenizer, PAD), first_pool
    while True:
        made = islice(documents(seed * 1_000_003 + pool), BATCH_DOCUMENTS * POOL_BATCHES)
        rows = sorted((encode(tokenizer, one) for one in made), key=lambda row: len(row[0]))
        grouped = [rows[start : start + BATCH_DOCUMENTS] for start in range(0, len(rows), BATCH_DOCUMENTS)]
        Random(pool).shuffle(grouped)  # noqa: S311 - reproducible, not secret
        yield from (pack(group, pad) for group in grouped)
        pool += 1


def build_model(tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Create the untrained model; its widths are multiples of 32, as int8 kernels and groups want them."""
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=7,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=token_id(tokenizer, END),
        pad_token_id=token_id(tokenizer, PAD),
        dtype="float32",
        attn_implementation="eager",  # twice as fast as the fused kernel for short rows on a CPU
    )
    return LlamaForCausalLM(config)


def learning_rate(step: int, steps: int) -> float:
    """Return the factor of the peak rate: a linear warm-up, then a cosine down to a fiftieth."""
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    progress = (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS)
    return 0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def loss_of(model: Callable[..., Any], batch: Batch) -> torch.Tensor:
    """Return the weighted mean of the next-token losses."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=batch.ids[:, :-1], use_cache=False).logits
    losses = functional.cross_entropy(logits.float().flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        model_max_length=context,
        padding_side="left",
    ).save_pretrained(folder)
    # transformers 5 writes a class name of its own that earlier releases do not know; both load this one
    path = folder / "tokenizer_config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), "tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


class Training:
    """Hold model, optimiser and position, and save them so that a kill loses little."""

    def __init__(self, folder: Path, *, steps: int, seed: int, compiled: bool) -> None:
        """Start anew, or go on from the checkpoint that the folder holds."""
        torch.manual_seed(seed)
        self.folder, self.steps, self.seed, self.step, self.seconds = folder, steps, seed, 0, 0.0
        self.tokenizer = self._load_tokenizer()
        self.model = build_model(self.tokenizer)
        self.forward = torch.compile(self.model, dynamic=True) if compiled else self.model
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.model.parameters() if parameter.ndim == 1]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: learning_rate(step, steps))
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint)
            self.step, self.seconds = state["step"], state["seconds"]
            for name in ("model", "optimiser", "schedule"):
                getattr(self, name).load_state_dict(state[name])

    @property
    def checkpoint(self) -> Path:
        """Return the path of the checkpoint."""
        return self.folder / "checkpoint.pt"

    def _load_tokenizer(self) -> Tokenizer:
        """Return the checkpoint's own tokenizer, or train one and keep it: ids must not change under the weights."""
        path = self.folder / "tokenizer.json"
        if self.checkpoint.exists():
            return Tokenizer.from_file(str(path))
        tokenizer = train_tokenizer(one.source for one in islice(documents(self.seed), TOKENIZER_DOCUMENTS))
        tokenizer.save(str(path))
        return tokenizer

    def save_checkpoint(self) -> None:
        """Write the checkpoint beside its place first, then move it there."""
        state = {name: getattr(self, name).state_dict() for name in ("model", "optimiser", "schedule")}
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({**state, "step": self.step, "seconds": self.seconds}, partial)
        partial.replace(self.checkpoint)

    def update(self, batch: Batch) -> float:
        """Take one optimiser step and return the loss."""
        loss = loss_of(self.forward, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        self.step += 1
        return loss.item()

    def run(self) -> None:
        """Train to the last step and write the model."""
        pool, done = divmod(self.step, POOL_BATCHES)
        stream = islice(batches(self.tokenizer, self.seed, pool), done, None)
        started, recent = time.monotonic() - self.seconds, []
        while self.step < self.steps:
            recent.append(self.update(next(stream)))
            self.seconds = time.monotonic() - started
            if self.step % LOG_STEPS == 0:
                _LOG.info("step %d loss %.4f seconds %.0f", self.step, sum(recent) / len(recent), self.seconds)
                recent.clear()
            if self.step % CHECKPOINT_STEPS == 0:
                self.save_checkpoint()
        self.save_model()

    def save_model(self) -> None:
        """Write an ordinary Hugging Face directory."""
        self.model.generation_config.do_sample = False
        self.model.save_pretrained(self.folder)
        save_tokenizer(self.tokenizer, self.folder, CONTEXT)
        self.checkpoint.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m demo_training.train", description="train the model `demo`")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="compile the model: faster, needs a C++ compiler")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    Training(options.output, steps=options.steps, seed=options.seed, compiled=options.compile).run()


if __name__ == "__main__":
    main()
