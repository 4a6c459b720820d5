"""What a new client says first, looked at without taking it: whether it is TLS and all there.

A handshake is begun once the whole ClientHello has come, so that what it costs falls into one turn
of the event loop that has room for it, not into any that the client chooses.
"""

import contextlib
import socket
from enum import Enum
from typing import Final

_HEADER_BYTES: Final = 5
_MAX_RECORD_BYTES: Final = 16 * 1024
"""RFC 8446, 5.1."""
_HANDSHAKE: Final = 0x16
"""Content type of the record that a ClientHello comes in (RFC 8446, 5.1)."""


class Hello(Enum):
    """What has come so far."""

    GONE = "gone"
    NOT_TLS = "not TLS"
    PART = "part"
    """The socket is ready again when there is more."""
    WHOLE = "whole"


def expect(connection: socket.socket) -> None:
    """Have a new client's socket be ready once the head of a TLS record is there."""
    _wake_at(connection, _HEADER_BYTES)


def look(connection: socket.socket) -> Hello:
    """Tell what a client has said. After `WHOLE` the socket is as it was before `expect`."""
    head = _peek(connection, _HEADER_BYTES)
    if head is None:
        return Hello.PART
    if head and head[0] != _HANDSHAKE:
        return Hello.NOT_TLS
    if len(head) < _HEADER_BYTES:
        return Hello.GONE  # it hung up in the middle: else we had not been woken
    size = _HEADER_BYTES + min(int.from_bytes(head[3:], "big"), _MAX_RECORD_BYTES)
    record = _peek(connection, size) or b""
    if len(record) == size:
        _wake_at(connection, 1)
        return Hello.WHOLE
    if connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) >= size:
        return Hello.GONE
    _wake_at(connection, size)
    return Hello.PART


def _peek(connection: socket.socket, size: int) -> bytes | None:
    """Return what is there, b"" at the end, None where there is nothing yet."""
    try:
        return connection.recv(size, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _wake_at(connection: socket.socket, size: int) -> None:
    """Have the socket be ready from so many bytes on (socket(7), SO_RCVLOWAT)."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
