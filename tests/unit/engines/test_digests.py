"""Digests of large files: kept for the very file that was hashed, and for no other."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pytest_qeval.engines import digests
from pytest_qeval.engines.digests import sha256_of
from pytest_qeval.engines.identity import FileIdentity


@pytest.fixture
def hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Keep digests of small files on any file system, in an empty cache; return the files that are hashed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_LEAST_BYTES", 1)
    monkeypatch.setattr(digests, "_SETTLED_NS", -1)
    monkeypatch.setattr(digests, "_is_on_disk", lambda _identity: True)
    found: list[Path] = []
    real = digests._hash

    def count(path: Path) -> str:
        found.append(path)
        return real(path)

    monkeypatch.setattr(digests, "_hash", count)
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_file_is_hashed_once(tmp_path: Path, hashed: list[Path]) -> None:
    """The next session takes the digest from the cache; other files do not displace it."""
    one, other = write(tmp_path / "one", "1"), write(tmp_path / "other", "2")

    assert [sha256_of(file) for file in (one, other, one, other)] == [sha256("1"), sha256("2")] * 2
    assert hashed == [one, other]


def test_a_change_is_seen_although_size_and_time_are_the_same(tmp_path: Path, hashed: list[Path]) -> None:
    """A program can set the time of modification, and not the time of the change."""
    file = write(tmp_path / "file", "1")
    before = file.stat()
    first = sha256_of(file)
    write(file, "2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert (first, sha256_of(file)) == (sha256("1"), sha256("2"))


def test_another_file_in_its_place_is_hashed(tmp_path: Path, hashed: list[Path]) -> None:
    """A replaced file has another inode."""
    file = write(tmp_path / "file", "1")
    sha256_of(file)
    write(tmp_path / "new", "2").replace(file)

    assert sha256_of(file) == sha256("2")


def test_a_file_that_has_just_changed_is_not_kept(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change again without another time."""
    monkeypatch.setattr(digests, "_SETTLED_NS", 10**12)
    file = write(tmp_path / "file", "1")
    sha256_of(file)
    sha256_of(file)

    assert hashed == [file, file]


def test_a_file_that_changes_while_it_is_hashed_is_not_kept(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest is that of no content that it ever had."""
    file = write(tmp_path / "file", "1")

    def change(path: Path) -> str:
        write(path, "longer")
        return sha256("of neither")

    with monkeypatch.context() as patch:
        patch.setattr(digests, "_hash", change)
        sha256_of(file)

    assert sha256_of(file) == sha256("longer")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"file": 1}', "\x00"])
def test_a_damaged_cache_is_no_cache(tmp_path: Path, hashed: list[Path], content: str) -> None:
    """It is replaced."""
    file = write(tmp_path / "file", "1")
    sha256_of(file)
    digests._file().write_text(content.replace("file", str(file)))

    assert [sha256_of(file), sha256_of(file)] == [sha256("1")] * 2
    assert len(hashed) == 2


def test_without_a_cache_folder_files_are_hashed(
    tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that cannot be written is no failure."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(write(tmp_path / "a file", "")))

    assert sha256_of(write(tmp_path / "file", "1")) == sha256("1")


def test_files_of_networks_and_in_memory_are_not_kept() -> None:
    """Their times may not tell of a change; such file systems have no block device."""
    identity = FileIdentity(device=os.makedev(0, 27), inode=1, size=1, modified_ns=1, changed_ns=1)

    assert not digests._is_on_disk(identity)
