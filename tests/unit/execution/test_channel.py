"""Messages between the processes of a sandbox."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.channel import Channel

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Return both ends of a channel."""
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_values_arrive_in_order(ends: Ends) -> None:
    """Each message is one tuple."""
    ours, theirs = ends
    ours.send("first", 1)
    ours.send("second", [2, None])

    assert theirs.receive() == ("first", 1)
    assert theirs.receive() == ("second", [2, None])


def test_a_closed_end_is_reported(ends: Ends) -> None:
    """Also in the middle of a message."""
    ours, theirs = ends
    ours.sock.sendall(Channel.frame("whole")[:-1])
    ours.close()

    with pytest.raises(EOFError):
        theirs.receive()


@pytest.mark.parametrize("data", [struct.pack(">I", 2**31), struct.pack(">I", 1) + b"N", struct.pack(">I", 1) + b"?"])
def test_bytes_that_are_no_message_are_refused(ends: Ends, data: bytes) -> None:
    """A size beyond the limit is refused before it is read."""
    ours, theirs = ends
    ours.sock.sendall(data)

    with pytest.raises(CodecError):
        theirs.receive()


def test_a_channel_is_quiet_until_something_can_be_read(ends: Ends) -> None:
    """The end of the stream counts as something."""
    ours, theirs = ends
    assert theirs.is_quiet()
    ours.send("late")
    assert not theirs.is_quiet()
    theirs.receive()
    assert theirs.is_quiet()
    ours.close()
    assert not theirs.is_quiet()
