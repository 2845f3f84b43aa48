"""Who is at the other end of a unix socket."""

import os
import socket
import struct

_CREDENTIALS = struct.Struct("3i")


def peer_user_id(connection: socket.socket) -> int:
    """The user id of the process at the other end, as the kernel saw it when the connection was made.

    Source: `SO_PEERCRED` in unix(7), Linux.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _process, user, _group = _CREDENTIALS.unpack(raw)
    return int(user)


def is_same_user(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to whoever runs this one."""
    return peer_user_id(connection) == os.getuid()
