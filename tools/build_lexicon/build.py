"""Build the lexicon of synonyms: `PYTHONPATH=tools python -m build_lexicon.build /usr/share/wordnet`.

The folder is that of Debian's package wordnet-base (WordNet 3.0, Princeton University); the extra `robustness` is
needed, too. The result is frozen in `pytest_qeval/perturb/docstring/data`, so that perturbed problems are the same on
every machine. The vocabulary is that of the docstrings of Python's standard library, so the same bytes need the same
version of Python; the lexicon's field `source` names it.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import platform
import re
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from build_lexicon.choices import CHOSEN
from build_lexicon.wordnet import POS, WordNet, read_wordnet
from pytest_qeval.errors import DataError
from pytest_qeval.perturb.docstring.lexicon import PATH
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, TECHNICAL

_FEWEST = 3
"""How often a word of the vocabulary occurs in the library's docstrings at least."""
_SHORTEST = 3
_DOMINANT = 3.0
"""How much more often a word is one part of speech than all others together, to count as that one."""
_LICENCE_LINES = 29
_TAGS: Mapping[str, Sequence[str]] = {
    "NOUN": ("NN", "NNS"),
    "VERB": ("VB", "VBD", "VBG", "VBN", "VBP", "VBZ"),
    "ADJ": ("JJ", "JJR", "JJS"),
    "ADV": ("RB",),
}


def build(wordnet: Path, data: Path, *, library: Path, chosen: Mapping[str, str] = CHOSEN) -> None:
    """Write `lexicon.json.gz`, its checksum and WordNet's licence into the folder `data`.

    Args:
        wordnet: Folder of WordNet's dict files.
        data: Folder to write into.
        library: Folder of the Python files whose docstrings are the vocabulary.
        chosen: Synonyms by part of speech, as in `choices`.

    Raises:
        DataError: when a chosen pair has no synset in common.
    """
    net = read_wordnet(wordnet)
    words = sorted(_vocabulary(library))
    content = {
        "source": f"WordNet 3.0, Python {platform.python_version()}, lemminflect {version('lemminflect')}",
        "kinds": {word: kind for word in words if (kind := _kind(word, net))},
        "synonyms": {word: found for word, found in _synonyms(net, chosen) if word not in FUNCTION_WORDS},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    data.joinpath("lexicon.json.gz").write_bytes(gzip.compress(text, mtime=0))
    data.joinpath("lexicon.sha256").write_text(hashlib.sha256(text).hexdigest() + "\n", encoding="utf-8")
    with wordnet.joinpath("data.noun").open(encoding="utf-8") as lines:
        licence = "".join(re.sub(r"^ +\d+ ?", "", line).rstrip() + "\n" for line in islice(lines, _LICENCE_LINES))
    data.joinpath("WORDNET-LICENSE").write_text(licence, encoding="utf-8")


def _vocabulary(library: Path) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for path in sorted(library.rglob("*.py")):
        if not {"site-packages", "test", "tests", "idlelib", "lib2to3"} & set(path.relative_to(library).parts):
            for docstring in _docstrings(path):
                counts.update(re.findall(r"(?<![\w.`'\"-])[a-z]+(?![\w(`'\"-])", docstring))
    return (word for word, count in counts.items() if count >= _FEWEST and len(word) >= _SHORTEST)


def _docstrings(path: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def _kind(word: str, net: WordNet) -> str | None:
    """Return the part of speech that a word nearly always is, by the counts of its lemmas in tagged texts."""
    from lemminflect import getAllLemmas  # noqa: PLC0415 - an extra

    lemmas = {kind: found for kind, found in getAllLemmas(word).items() if kind in POS}
    seen = {kind: sum(net.count(lemma, kind) for lemma in found) for kind, found in lemmas.items()}
    if not any(seen.values()) or word in FUNCTION_WORDS:
        return None
    kind = max(seen, key=lambda kind: seen[kind])
    return kind if seen[kind] >= _DOMINANT * (sum(seen.values()) - seen[kind]) else None


def _synonyms(net: WordNet, chosen: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
    """Return the synonyms of every inflectional form, by part of speech."""
    found: dict[str, dict[str, Sequence[str]]] = {}
    for kind, table in chosen.items():
        for entry in table.split(";"):
            lemma, _, listed = entry.strip().partition(": ")
            others = listed.split()
            _check(lemma, others, kind, net)
            for word in dict.fromkeys(_forms(lemma, kind).values()):
                tags = [tag for tag, form in _forms(lemma, kind).items() if form == word]
                # Where tags fall together ("found" is past and participle), those of the synonym have to as well.
                forms = [{_forms(other, kind).get(tag) for tag in tags} for other in others]
                fitting = [form.pop() for form in forms if len(form) == 1]
                if kept := [form for form in fitting if form]:
                    found.setdefault(word, {})[kind] = kept
    return iter(found.items())


def _check(lemma: str, others: Sequence[str], kind: str, net: WordNet) -> None:
    wrong = set(others) - net.synonyms(lemma, kind)
    if wrong:
        raise DataError(f"{lemma} ({kind}) is no synonym of {sorted(wrong)} in WordNet: choose another pair")
    terms = {lemma, *others} & (TECHNICAL | FUNCTION_WORDS)
    if terms:
        raise DataError(f"{lemma}: {sorted(terms)} must not be replaced nor stand for others: choose another word")


def _forms(lemma: str, kind: str) -> Mapping[str, str]:
    """Return the inflectional forms of a lemma that are in use, by tag: nothing is the "specialest"."""
    from lemminflect import getAllInflections  # noqa: PLC0415 - an extra

    found = getAllInflections(lemma)
    known = {tag: found[tag][0] for tag in _TAGS[kind] if tag in found} or {_TAGS[kind][0]: lemma}
    # lemminflect lists no participle where it is the same as the past.
    return known | {"VBN": known.get("VBN", known["VBD"])} if "VBD" in known else known


if __name__ == "__main__":
    build(Path(sys.argv[1]), PATH.parent, library=Path(sysconfig.get_path("stdlib")))
