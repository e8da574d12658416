"""Load what is known of English words: the frozen lexicon of synonyms, and the package lemminflect for word forms.

The lexicon is made from WordNet 3.0; WordNet's licence lies beside the data.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import msgspec

from pytest_qeval.errors import DataError, MissingPackageError

PATH = Path(__file__).parent / "data" / "lexicon.json.gz"


class Lexicon(msgspec.Struct, frozen=True, kw_only=True):
    """Words in lower case, in each of their inflectional forms."""

    kinds: Mapping[str, str]
    """NOUN, VERB, ADJ or ADV, for words that are one of them at least three times as often as anything else."""
    synonyms: Mapping[str, Mapping[str, Sequence[str]]]
    """By word and part of speech, in the same inflectional form."""


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the packaged lexicon.

    Raises:
        DataError: when it is not the one that was packaged: perturbed problems would differ.
    """
    text = gzip.decompress(PATH.read_bytes())
    expected = PATH.with_name("lexicon.sha256").read_text(encoding="utf-8").strip()
    found = hashlib.sha256(text).hexdigest()
    if found != expected:
        raise DataError(f"{PATH} has sha256 {found[:12]}…, expected {expected[:12]}…: install pytest-qeval again")
    return msgspec.json.decode(text, type=Lexicon)


def load_lemminflect() -> ModuleType:
    """Import lemminflect, which inflects words and finds their lemmas.

    Raises:
        MissingPackageError: when it is not installed.
    """
    try:
        return importlib.import_module("lemminflect")  # late: an extra, and it imports numpy
    except ImportError as error:
        raise MissingPackageError("lemminflect", extra="robustness", purpose="inflecting words") from error
