"""Messages over a socket: the length, then one encoded tuple. Plugin, worker, judge and solver all use it."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

from pytest_qeval.execution.carried import CodecError
from pytest_qeval.execution.codec import MAX_BYTES, Refer, Resolve, decode, encode, no_reference

LIMITS = struct.Struct(">dQ")
"""A program's limits, seconds and bytes of memory, sent to a worker together with the judge's descriptor."""

_LENGTH = struct.Struct(">I")
_MAX_FRAME = MAX_BYTES + 2**16  # the largest value and the tuple around it


class Channel:
    """One end of a private socket pair."""

    __slots__ = ("refer", "resolve", "sock")

    def __init__(self, sock: socket.socket) -> None:
        """Use `sock`, which is closed together with the channel."""
        self.sock = sock
        self.refer: Refer = no_reference
        """Set where objects that cannot be copied may be referred to."""
        self.resolve: Resolve | None = None
        """Set where references may be received."""

    def send(self, *values: object) -> None:
        """Send `values` as one frame."""
        self.sock.sendall(self.frame(*values, refer=self.refer))

    @staticmethod
    def frame(*values: object, refer: Refer = no_reference) -> bytes:
        """Return the bytes of one frame."""
        payload = encode(values, refer)
        return _LENGTH.pack(len(payload)) + payload

    def receive(self) -> tuple[Any, ...]:
        """Wait for one frame.

        Raises:
            EOFError: when the other end is closed before a frame is complete.
            CodecError: for bytes that are no frame.
        """
        length = _length_of(self._read(_LENGTH.size))
        return _values_of(self._read(length), self.resolve)

    @staticmethod
    def unframe(data: bytes) -> tuple[Any, ...]:
        """Return the values of the frame that `data` begins with.

        Raises:
            EOFError: when it is not complete.
            CodecError: for bytes that are no frame.
        """
        if len(data) < _LENGTH.size or len(data) < (end := _LENGTH.size + _length_of(data[: _LENGTH.size])):
            raise EOFError("the frame is not complete")
        return _values_of(data[_LENGTH.size : end], None)

    def is_quiet(self) -> bool:
        """Return whether nothing can be read: neither bytes nor the end of the stream."""
        with contextlib.suppress(BlockingIOError):
            self.sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
            return False
        return True

    def close(self) -> None:
        """Close this end."""
        self.sock.close()

    def _read(self, count: int) -> bytes:
        block = bytearray()
        while len(block) < count:
            try:
                part = self.sock.recv(min(count - len(block), 2**18))
            except ConnectionResetError:
                part = b""
            if not part:
                raise EOFError("the other end is closed")
            block += part
        return bytes(block)


def _length_of(head: bytes) -> int:
    length: int = _LENGTH.unpack(head)[0]
    if length > _MAX_FRAME:
        raise CodecError(f"a frame of {length} bytes")
    return length


def _values_of(payload: bytes, resolve: Resolve | None) -> tuple[Any, ...]:
    values = decode(payload, resolve)
    if type(values) is not tuple or not values:
        raise CodecError("a frame that holds no tuple")
    return values
