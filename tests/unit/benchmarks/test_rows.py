"""Rows of files are read, and files found and verified."""

import gzip
from pathlib import Path

import pytest

from pytest_qeval.benchmarks.rows import (
    find_file,
    iter_entries,
    iter_rows,
    read_bytes,
    sha256_of,
    to_jsonl,
    verify_sha256,
)
from pytest_qeval.errors import DataError

CONTENT = b'{"task_id": "t/0"}\n'


def test_compressed_files_are_read_and_broken_ones_refused(tmp_path: Path) -> None:
    """A truncated archive raises a data error."""
    whole = gzip.compress(CONTENT)
    (tmp_path / "whole.jsonl.gz").write_bytes(whole)
    (tmp_path / "named.jsonl").write_bytes(whole)
    (tmp_path / "torn.jsonl.gz").write_bytes(whole[:-9])
    (tmp_path / "fake.jsonl.gz").write_bytes(b"plain")
    (tmp_path / "bent.jsonl.gz").write_bytes(whole[:12] + b"\xff\xff\xff\xff" + whole[16:])

    assert read_bytes(tmp_path / "whole.jsonl.gz") == read_bytes(tmp_path / "named.jsonl") == CONTENT
    for name in ("torn.jsonl.gz", "fake.jsonl.gz", "bent.jsonl.gz", "absent.jsonl"):
        with pytest.raises(DataError, match="cannot read"):
            read_bytes(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_named(encoding: str) -> None:
    """With the remedy, whether or not there is a byte order mark, and also in an array."""
    for text, read in ((CONTENT.decode(), iter_rows), (f"[{CONTENT.decode()}]", iter_entries)):
        with pytest.raises(DataError, match=rf"^file is {encoding[:6].upper()}: save it as UTF-8\.$"):
            list(read(text.encode(encoding), source="file"))


def test_rows_are_written_as_they_are_read() -> None:
    """One JSON object on each line."""
    assert [row for _, row in iter_rows(to_jsonl([{"a": 1}, {"b": "é"}]), source="file")] == [{"a": 1}, {"b": "é"}]


def test_files_are_searched_folder_by_folder(tmp_path: Path) -> None:
    """The first folder with any of the names wins; a missing folder is skipped."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "b").touch()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a").touch()

    assert find_file([None, tmp_path / "one", tmp_path / "two"], ["a", "b"]) == tmp_path / "one" / "b"
    assert find_file([None, tmp_path], ["a", "b"]) is None


def test_other_content_is_refused() -> None:
    """The message names the file, both checksums and the remedy."""
    digest = sha256_of(CONTENT)

    assert verify_sha256(CONTENT, digest, source="file", title="X", remedy="get it") == digest
    with pytest.raises(DataError, match=r"^file is not X: sha256 \w{12}…, expected 0{12}…\. .*: get it\.$"):
        verify_sha256(CONTENT, "0" * 64, source="file", title="X", remedy="get it")
