"""Read WordNet's dict files (wndb(5WN), senseidx(5WN)), as far as the lexicon needs them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POS: Mapping[str, str] = {"NOUN": "noun", "VERB": "verb", "ADJ": "adj", "ADV": "adv"}
"""Parts of speech by their universal tags, and the names of their files."""

_KINDS = {"1": "NOUN", "2": "VERB", "3": "ADJ", "4": "ADV", "5": "ADJ"}
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordNet:
    """Senses and counts by lemma and part of speech."""

    senses: Mapping[_Key, Sequence[str]]
    """Synsets of (lemma, part of speech), by the offset of each."""
    lemmas: Mapping[_Key, Sequence[str]]
    """Lemmas of (offset, part of speech)."""
    counts: Mapping[_Key, int]
    """How often (lemma, part of speech) occurs in hand-tagged texts, in any sense."""

    def count(self, lemma: str, kind: str) -> int:
        """Return how often a lemma occurs as this part of speech."""
        return self.counts.get((lemma, kind), 0)

    def synonyms(self, lemma: str, kind: str) -> frozenset[str]:
        """Return every word that shares any sense with a lemma."""
        return frozenset(word for offset in self.senses.get((lemma, kind), ()) for word in self.lemmas[offset, kind])


def read_wordnet(folder: Path) -> WordNet:
    """Read the dict files of a folder."""
    senses: dict[_Key, Sequence[str]] = {}
    lemmas: dict[_Key, Sequence[str]] = {}
    for kind, name in POS.items():
        for fields in _rows(folder / f"index.{name}"):
            senses[fields[0], kind] = fields[-int(fields[2]) :]
        for fields in _rows(folder / f"data.{name}"):
            words = fields[4 : 4 + 2 * int(fields[3], base=16) : 2]
            lemmas[fields[0], kind] = [re.sub(r"\(\w+\)$", "", word) for word in words]
    counts: Counter[_Key] = Counter()
    for key, _, count in _rows(folder / "cntlist.rev"):
        lemma, _, rest = key.partition("%")
        counts[lemma, _KINDS[rest[0]]] += int(count)
    return WordNet(senses=senses, lemmas=lemmas, counts=counts)


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("  "):  # the licence
                yield line.split()
