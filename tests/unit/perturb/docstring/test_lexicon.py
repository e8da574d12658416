"""The packaged lexicon."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qeval.errors import DataError
from pytest_qeval.perturb.docstring import lexicon
from pytest_qeval.perturb.docstring.lexicon import load_lexicon
from pytest_qeval.perturb.docstring.words import FUNCTION_WORDS, TECHNICAL


def test_the_lexicon_holds_no_terms() -> None:
    """Neither a word nor its synonym is a technical term or a function word."""
    synonyms = load_lexicon().synonyms
    replacements = {other for kinds in synonyms.values() for found in kinds.values() for other in found}

    assert len(synonyms) > 400
    assert (synonyms.keys() | replacements) & (TECHNICAL | FUNCTION_WORDS) == set()


def test_wordnets_licence_is_shipped() -> None:
    """It has to appear on all copies of the database."""
    text = lexicon.PATH.with_name("WORDNET-LICENSE").read_text(encoding="utf-8")

    assert text.startswith("This software and database is being provided to you")
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in text


def test_another_lexicon_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other synonyms would make other perturbed problems."""
    tmp_path.joinpath("lexicon.json.gz").write_bytes(lexicon.PATH.read_bytes())
    tmp_path.joinpath("lexicon.sha256").write_text("0" * 64, encoding="utf-8")
    monkeypatch.setattr(lexicon, "PATH", tmp_path / "lexicon.json.gz")

    with pytest.raises(DataError, match=r"sha256 .*, expected 000000000000…: install pytest-qeval again"):
        load_lexicon.__wrapped__()
