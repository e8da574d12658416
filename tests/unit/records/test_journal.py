"""A journal gives back what was written; of what is broken, only a last line that was cut off is forgiven."""

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qeval.errors import DataError, UsageError
from pytest_qeval.records import journal
from pytest_qeval.records.journal import Journal, check_unlocked, read_journal, whole_lines
from pytest_qeval.records.messages import Message, RunStart, to_plain
from pytest_qeval.schema import Execution, Record
from tests.full_disk import full_disk
from tests.unit.summary.builders import BASELINE, HEADER, record

RUN = RunStart(**asdict(HEADER), planned=2)
MESSAGES: tuple[Message, ...] = (BASELINE, record("auto", 0, "+"), record("auto", 1, "-"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = Journal(tmp_path / "run" / "records.jsonl")
    for message in (RUN, *MESSAGES):
        written.write(message)
    written.close()
    return tmp_path / "run" / "records.jsonl"


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_journal(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_read(path: Path) -> None:
    """The run's line first, then the messages in their order."""
    assert read_journal(path) == (RUN, MESSAGES)


def test_an_earlier_journal_is_kept_beside_the_new_one(path: Path) -> None:
    """A run into the same folder does not destroy what the last one wrote."""
    before = path.read_bytes()
    Journal(path).close()
    assert path.with_name("records.jsonl.bak").read_bytes() == before


def test_a_journal_goes_on_after_its_last_whole_line(path: Path) -> None:
    """What a crash has left of the next line is cut off; so are zeros, which a power cut may leave."""
    content = path.read_bytes()
    for torn in (b'{"type": "rec', b"\0" * 100, b""):
        path.write_bytes(content[: -len(content.splitlines(keepends=True)[-1])] + torn)
        written = Journal(path, keep_bytes=whole_lines(path))
        written.write(MESSAGES[-1])
        written.close()
        assert path.read_bytes() == content
    assert not path.with_name("records.jsonl.bak").exists()


@pytest.mark.parametrize("room", [0, 1, 100], ids=lambda room: f"{room} bytes left")
def test_a_full_disk_keeps_whole_lines(path: Path, room: int) -> None:
    """A part of a line that was written is cut off again; once there is room, the journal goes on."""
    content = path.read_bytes()
    written = Journal(path, keep_bytes=len(content))
    with full_disk(len(content) + room), pytest.raises(UsageError, match=r"cannot be written: .*Make room"):
        written.write(MESSAGES[-1])
    assert path.read_bytes() == content

    written.write(MESSAGES[-1])
    written.close()
    assert read_journal(path) == (RUN, (*MESSAGES, MESSAGES[-1]))


def test_a_journal_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """Where a file is in the way of its folder, or the folder can no longer be written."""
    (tmp_path / "run").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"records\.jsonl cannot be written: "):
        Journal(tmp_path / "run" / "records.jsonl")


def test_only_one_run_writes_a_journal(path: Path) -> None:
    """Neither a new run nor one that goes on takes the file of one that is under way."""
    before = path.read_bytes()
    first = Journal(path, keep_bytes=len(before))
    with pytest.raises(UsageError, match="another run is writing to"):
        Journal(path)
    with pytest.raises(UsageError, match="another run is writing to"):
        Journal(path, keep_bytes=0)
    with pytest.raises(UsageError, match="another run is writing to"):
        check_unlocked(path)
    assert path.read_bytes() == before
    first.close()
    check_unlocked(path)


def test_what_another_run_has_written_meanwhile_is_not_cut_off(path: Path) -> None:
    """Between reading a journal and going on with it, cases are collected."""
    before, size = path.read_bytes(), path.stat().st_size
    Journal(path, keep_bytes=size - 10, size=size).close()
    assert path.read_bytes() == before[:-10]

    with pytest.raises(UsageError, match=r"another run has written to .* meanwhile: give the command again"):
        Journal(path, keep_bytes=size - 20, size=size)
    assert path.read_bytes() == before[:-10]


def test_a_part_of_a_journal_can_be_read(path: Path) -> None:
    """Workers read what was there when the run went on, whatever has come since."""
    n_bytes = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"type": "rec')
    assert read_journal(path, n_bytes=n_bytes) == (RUN, MESSAGES)


def test_text_that_utf8_cannot_encode_does_not_end_a_run(path: Path) -> None:
    """A program's error message may hold half a surrogate pair; what is written stays readable."""
    found = record("auto", 0, "-")
    execution = Execution(status="error", duration_s=0.1, detail="half \ud800 pair")
    written = Journal(path)
    written.write(RUN)
    written.write(replace(found, samples=(replace(found.samples[0], execution=execution),)))
    written.close()

    (read,) = read_journal(path)[1]
    assert isinstance(read, Record)
    assert read.reason == "error: half ? pair"


def test_messages_of_a_newer_version_are_left_out(path: Path) -> None:
    """A journal of a later version is still of use."""
    with path.open("a", encoding="utf-8") as file:
        file.write('{"type": "weather", "rain": true}\n')
    assert read_journal(path)[1] == MESSAGES


@pytest.mark.parametrize("lost", [1, 2, 40, 200])
def test_a_last_line_that_was_cut_off_is_left_out_and_reported(
    path: Path, lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash loses the case in flight and no other."""
    content = path.read_bytes()
    path.write_bytes(content[: -1 - lost])
    with caplog.at_level(logging.WARNING):
        _, messages = read_journal(path)
    assert len(messages) == len(MESSAGES) - 1
    assert "line 4 is cut off and left out" in caplog.text


def test_a_last_line_without_its_end_counts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only the line feed was lost: nothing is missing."""
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_journal(path)[1]) == len(MESSAGES)
    assert not caplog.text


def test_blank_lines_are_no_messages(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An editor adds them: first, last, with blanks or without an end."""
    path.write_bytes(b"\n" + path.read_bytes() + b"\n \n ")

    assert read_journal(path) == (RUN, MESSAGES)
    assert not caplog.text


def test_a_broken_line_before_the_last_is_refused_by_its_number(path: Path) -> None:
    """No crash breaks a line in the middle: somebody edited the file."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], lines[1][:30] + b"\n", *lines[2:]]))
    assert "line 2: not JSON" in refused(path)


def test_a_wrong_field_is_refused_by_line_and_name(path: Path) -> None:
    """Also where the line is the last, and without its end: it was not cut off."""
    row = to_plain(record("auto", 1, "-"))
    row["samples"][0]["n_tokens"] = "abc"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + json.dumps(row), encoding="utf-8")
    assert "line 4: samples[0].n_tokens: expected int or null, not 'abc'" in refused(path)


def test_not_a_number_is_refused(path: Path) -> None:
    """What Python writes for a number that is none is no JSON."""
    row = {**to_plain(record("auto", 1, "-")), "measurements": {"x": float("nan")}}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    assert "line 5: not JSON" in refused(path)


@pytest.mark.parametrize("order", [(1, 0), (0, 0, 1), (1,)], ids=["late", "twice", "never"])
def test_a_journal_is_one_run(path: Path, order: tuple[int, ...]) -> None:
    """Its own line comes first, and once."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[index] for index in order))
    assert "expected the run's own line to be the first and the only one" in refused(path)


@pytest.mark.parametrize("content", [b"", b'{"type": "run", "id'])
def test_a_journal_without_a_run_is_refused(path: Path, content: bytes) -> None:
    """Nothing can be concluded from nothing."""
    path.write_bytes(content)
    assert "holds no run" in refused(path)


def test_a_line_has_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without line feeds is not read into memory as a whole."""
    monkeypatch.setattr(journal, "_LONGEST_LINE", 2000)
    with path.open("ab") as file:
        file.write(b" " * 4000)
    assert "line 5: longer than" in refused(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing, or a folder."""
    assert "No such file" in refused(tmp_path / "absent.jsonl")
    assert "is no file" in refused(tmp_path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_damage_is_refused_or_leaves_what_is_right(path: Path, data: st.DataObject) -> None:
    """Whatever bytes are cut or changed: a `DataError`, or messages."""
    content = bytearray("".join(json.dumps(to_plain(message)) + "\n" for message in (RUN, *MESSAGES)).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.jsonl")
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_journal(damaged)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
