"""Frames: a 4-byte big-endian length, then msgpack. One union for each direction of each connection."""

import struct
from asyncio import IncompleteReadError, StreamReader
from typing import Final

import msgspec
from msgspec import Struct

from tui.protocol.commands import ClientCommand, Done, Failed, WorkerCommand
from tui.protocol.events import ClientEvent, WorkerEvent
from tui.protocol.problem import Problem
from tui.protocol.snapshot import Snapshot

MAX_REQUEST: Final = 1 << 20
"""Bytes of the largest frame that a client may send."""

MAX_FRAME: Final = 16 << 20
"""Bytes of the largest frame that the engine or a worker sends."""

CHUNK: Final = 64 << 10
"""Bytes of picture in one :class:`Chunk`, small enough that progress is not stuck behind it."""

PULSE_EVERY: Final = 2.0
"""Seconds between two signs of life of a worker at work."""

MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding can raise when the bytes are not what they should be."""

_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """The other end sent something that is not a frame; the connection cannot go on."""


class Hello(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="hello"):
    """The first frame of a client. Its fields never change their meaning, so that any two versions can say no."""

    protocol: int
    version: str
    boot: str = ""
    """Which engine process the client last spoke to."""
    since: int = 0
    """The last event number it saw there."""


class Welcome(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="welcome"):
    """The client is attached; events above `seq` follow, after those it missed when `snapshot` is None."""

    boot: str
    seq: int
    pid: int
    version: str
    snapshot: Snapshot | None = None


class Refused(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="refused"):
    """The client is not attached."""

    protocol: int
    version: str
    pid: int
    problem: Problem


class Request(Struct, frozen=True, kw_only=True, tag="request"):
    """A command with the number that its reply will carry."""

    id: int
    command: ClientCommand


class Order(Struct, frozen=True, kw_only=True, tag="order"):
    """The same from the engine to a worker."""

    id: int
    command: WorkerCommand


class Numbered(Struct, frozen=True, kw_only=True, tag="event"):
    """An event, its number (from 1, without gaps, for one engine process) and its time since the epoch."""

    seq: int
    time: float
    event: ClientEvent


class Told(Struct, frozen=True, kw_only=True, tag="told"):
    """An event from a worker to its engine."""

    event: WorkerEvent


class Chunk(Struct, frozen=True, kw_only=True, tag="chunk"):
    """A piece of the answer to request `id`, in order."""

    id: int
    data: bytes
    total: int
    """Bytes of the whole answer."""


class Preview(Struct, frozen=True, kw_only=True, tag="preview"):
    """The picture as it forms: small, unnumbered, the newest replacing any not yet sent."""

    job_id: str
    index: int
    step: int
    width: int
    height: int
    rgb: bytes
    """`height` × `width` × 3 bytes."""


ClientFrame = Hello | Request
EngineFrame = Welcome | Refused | Done | Failed | Numbered | Chunk | Preview
WorkerFrame = Done | Failed | Told | Preview
"""What a worker sends; what it receives is :class:`Order`."""

_encoder = msgspec.msgpack.Encoder()
client_frames = msgspec.msgpack.Decoder(ClientFrame)
engine_frames = msgspec.msgpack.Decoder(EngineFrame)
worker_frames = msgspec.msgpack.Decoder(WorkerFrame)
orders = msgspec.msgpack.Decoder(Order)


def encode(frame: Struct) -> bytes:
    """`frame` as bytes for the wire, its length first."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


def payload(value: object) -> msgspec.Raw:
    """`value` as the result of a Done."""
    return msgspec.Raw(_encoder.encode(value))


async def read_frame(reader: StreamReader, limit: int) -> bytes | None:
    """The body of the next frame; None when the other end has closed between two frames.

    Raises:
        FrameError: the length is above `limit` bytes, or the connection ended inside a frame.
    """
    try:
        head = await reader.readexactly(_LENGTH.size)
    except IncompleteReadError as error:
        if error.partial:
            raise FrameError("the connection ended inside a frame") from None
        return None
    (length,) = _LENGTH.unpack(head)
    if length > limit:
        raise FrameError(f"a frame of {length} bytes is above the limit of {limit}")
    try:
        return await reader.readexactly(length)
    except IncompleteReadError:
        raise FrameError("the connection ended inside a frame") from None
