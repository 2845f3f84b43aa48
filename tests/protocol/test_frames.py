"""The wire: every frame arrives as it was sent, and nothing else is taken for one."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_job
from tui.protocol import commands, events
from tui.protocol.frames import (
    Chunk,
    FrameError,
    Hello,
    Numbered,
    Order,
    Preview,
    Request,
    Told,
    client_frames,
    encode,
    engine_frames,
    orders,
    payload,
    read_frame,
    worker_frames,
)
from tui.protocol.problem import Problem

JOB = make_job()
PROBLEM = Problem(code="internal", cause="It broke.", hint="Mend it.")
RECORD = events.JobRecord(job=JOB, state="waiting")


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


@pytest.mark.parametrize(
    ("decoder", "frame"),
    [
        (client_frames, Hello(protocol=1, version="1")),
        (client_frames, Request(id=1, command=commands.Submit(job=JOB))),
        (client_frames, Request(id=2, command=commands.Fetch(picture_id=1, width=2, height=3))),
        (orders, Order(id=3, command=commands.Run(job=JOB, model_path="/m", targets=[]))),
        (engine_frames, Numbered(seq=1, time=2.0, event=events.JobQueued(record=RECORD))),
        (engine_frames, commands.Failed(id=4, problem=PROBLEM)),
        (engine_frames, Chunk(id=5, data=b"\x00\xff", total=2)),
        (worker_frames, Told(event=events.Step(job_id=JOB.id, index=0, step=1, steps=2))),
        (worker_frames, Preview(job_id=JOB.id, index=0, step=1, width=1, height=1, rgb=b"abc")),
    ],
)
async def test_a_frame_arrives_as_it_was_sent(decoder: msgspec.msgpack.Decoder, frame: msgspec.Struct) -> None:
    body = await read_frame(reader_of(encode(frame)), 1 << 20)
    assert decoder.decode(body) == frame


async def test_a_reply_carries_its_result() -> None:
    body = await read_frame(reader_of(encode(commands.Done(id=1, result=payload(RECORD)))), 1 << 20)
    reply = engine_frames.decode(body)
    assert msgspec.msgpack.decode(reply.result, type=events.JobRecord) == RECORD


async def test_a_frame_above_the_limit_is_refused_before_it_is_read() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data((1 << 31).to_bytes(4, "big"))  # the body never comes
    with pytest.raises(FrameError, match="limit"):
        await asyncio.wait_for(read_frame(reader, 1 << 20), 1)


@given(cut=st.integers(0, 200))
def test_a_cut_connection_is_told_from_an_ended_one(cut: int) -> None:
    async def check() -> None:
        whole = encode(Request(id=1, command=commands.Submit(job=JOB)))
        reader = reader_of(whole[:cut])
        if cut == 0:
            assert await read_frame(reader, 1 << 20) is None
        elif cut < len(whole):
            with pytest.raises(FrameError):
                await read_frame(reader, 1 << 20)
        else:
            assert await read_frame(reader, 1 << 20) == whole[4:]

    asyncio.run(check())


@given(st.binary(max_size=300))
def test_garbage_is_refused_by_every_decoder(data: bytes) -> None:
    for decoder in (client_frames, engine_frames, worker_frames, orders):
        try:
            decoder.decode(data)
        except msgspec.MsgspecError:
            continue
        except UnicodeDecodeError:
            continue
        pytest.fail("random bytes were taken for a frame")
