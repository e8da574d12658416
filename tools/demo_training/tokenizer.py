"""Train the tokenizer of the embedded model: byte-level BPE that keeps digits and punctuation apart."""

from collections.abc import Iterable
from typing import Final

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer

END: Final = "<|end|>"
PAD: Final = "<|pad|>"
VOCABULARY_SIZE: Final = 1280
_PIECES: Final = r"\n[ \t]*| ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]|[ \t]+|\s"
"""A line break takes the following indentation; every digit and punctuation mark is a piece of its own, so that
constants are copied sign by sign and the same text is split in the same way in a docstring and in code."""


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Learn merges from texts; decoding gives back exactly what was encoded."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence(
        [Split(Regex(_PIECES), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)],
    )
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[END, PAD],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Return the id of a token that must exist."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise KeyError(token)
    return int(found)
