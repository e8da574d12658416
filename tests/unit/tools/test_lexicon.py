"""The lexicon is built from WordNet's files, and pairs that are no synonyms are refused."""

from __future__ import annotations

import gzip
import json
import platform
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest
from build_lexicon.build import build
from build_lexicon.wordnet import read_wordnet

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.docstring.lexicon import PATH

LICENCE = "".join(f"  {number} Line {number} of the licence.  \n" for number in range(1, 30))
FILES = {
    "index.verb": "write v 1 1 @ 1 1 00000001\ncompose v 1 1 @ 1 0 00000001\n",
    "data.verb": "00000001 36 v 02 write 0 compose(p) 0 000 | produce\n",
    "index.noun": "write n 1 0 1 0 00000002\n",
    "data.noun": "00000002 36 n 01 write 0 000 | made up\n",
    "index.adj": "",
    "data.adj": "",
    "index.adv": "",
    "data.adv": "",
}


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        tmp_path.joinpath(name).write_text(LICENCE + text, encoding="utf-8")
    tmp_path.joinpath("cntlist.rev").write_text("write%2:36:00:: 1 9\nwrite%1:10:00:: 1 3\n", encoding="utf-8")
    return tmp_path


def test_synsets_and_counts_are_read(wordnet: Path) -> None:
    """Synonyms share a synset of the same part of speech; counts are of the hand-tagged texts."""
    net = read_wordnet(wordnet)

    assert net.synonyms("write", "VERB") == {"write", "compose"}
    assert net.synonyms("write", "NOUN") == {"write"}
    assert (net.count("write", "VERB"), net.count("write", "NOUN"), net.count("compose", "VERB")) == (9, 3, 0)


def test_the_lexicon_is_built_from_chosen_pairs(wordnet: Path) -> None:
    """Pairs in every form, parts of speech of common words, and the licence without line numbers."""
    pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    library = wordnet / "library"
    library.mkdir()
    library.joinpath("module.py").write_text(f'"""{"write unheard " * 3}rare"""\n', encoding="utf-8")
    build(wordnet, wordnet, library=library, chosen={"VERB": "write: compose"})
    content = json.loads(gzip.decompress(wordnet.joinpath("lexicon.json.gz").read_bytes()))

    assert content["synonyms"] == {
        word: {"VERB": [other]}
        for word, other in {
            "write": "compose",
            "writes": "composes",
            "writing": "composing",
            "wrote": "composed",
            "written": "composed",
        }.items()
    }
    assert content["kinds"] == {"write": "VERB"}
    assert wordnet.joinpath("WORDNET-LICENSE").read_text(encoding="utf-8").startswith("Line 1 of the licence.\nLine 2")


@pytest.mark.parametrize(
    ("pair", "message"),
    [("write: sing", r"write \(VERB\) is no synonym of \['sing'\]"), ("sum: sum", r"\['sum'\]")],
)
def test_pairs_that_are_no_synonyms_are_refused(wordnet: Path, pair: str, message: str) -> None:
    """WordNet has to have a synset of both, and technical terms have no synonym."""
    pytest.importorskip("lemminflect", reason="the robustness extra is not installed")
    with pytest.raises(DataError, match=message):
        build(wordnet, wordnet, library=wordnet / "none", chosen={"VERB": pair})


@pytest.mark.golden
def test_the_packaged_lexicon_is_reproduced(tmp_path: Path) -> None:
    """Byte by byte, from Debian's wordnet-base and with the versions that the lexicon names."""
    folder = Path("/usr/share/wordnet")
    source = json.loads(gzip.decompress(PATH.read_bytes()))["source"]
    here = f"WordNet 3.0, Python {platform.python_version()}, lemminflect {version('lemminflect')}"
    if not folder.joinpath("data.noun").is_file() or here != source:
        pytest.skip(f"needs the package wordnet-base and {source}")
    build(folder, tmp_path, library=Path(sysconfig.get_path("stdlib")))

    for name in ("lexicon.json.gz", "lexicon.sha256", "WORDNET-LICENSE"):
        assert tmp_path.joinpath(name).read_bytes() == PATH.with_name(name).read_bytes(), name
