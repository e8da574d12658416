"""The frozen lexicon: synonyms of words that docstrings use, and the part of speech that a word nearly always has.

Made from WordNet 3.0 by `lexicon_build`; WordNet's licence lies beside the data.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pytest_qeval.errors import DataError

__all__ = ["PATH", "Lexicon", "load_lexicon"]

PATH = Path(__file__).parent / "data" / "lexicon.json.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """What is known of words, all in lower case and as they are inflected."""

    kinds: Mapping[str, str]
    """NOUN, VERB, ADJ or ADV, for words that are one of them at least three times as often as anything else."""
    synonyms: Mapping[str, Mapping[str, Sequence[str]]]
    """By part of speech, in the same inflectional form."""


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the packaged lexicon.

    Raises:
        DataError: when it is not the one that was packaged, with which perturbed problems would be others.
    """
    text = gzip.decompress(PATH.read_bytes())
    expected = PATH.with_name("lexicon.sha256").read_text(encoding="utf-8").strip()
    found = hashlib.sha256(text).hexdigest()
    if found != expected:
        raise DataError(f"{PATH} has sha256 {found[:12]}…, expected {expected[:12]}…: install pytest-qeval again")
    content = json.loads(text)
    return Lexicon(kinds=content["kinds"], synonyms=content["synonyms"])
