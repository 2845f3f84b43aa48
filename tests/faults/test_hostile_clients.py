"""Whatever comes over the socket: no crash, no unbounded memory, and other clients notice nothing."""

import asyncio
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.conftest import Attached, make_job
from tests.faults.conftest import QuickEngine, Tally
from tui.client import attach
from tui.engine.daemon import MAX_CLIENTS
from tui.library.engine_file import read_engine_file
from tui.library.paths import Paths
from tui.protocol import PROTOCOL_VERSION
from tui.protocol.commands import ClientCommand, Fetch, GetSnapshot, Pause, Resume, Shutdown, Submit
from tui.protocol.frames import MAX_REQUEST, Hello, Request, encode
from tui.protocol.problem import LatenttyError

MEBIBYTE = 1 << 20
STRANGER = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(bytes.fromhex(sys.argv[2]))
print(connection.recv(100))
"""
HELLO = Hello(protocol=PROTOCOL_VERSION, version="test")
ODD: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63 - 1, 2**64 - 1, -(2**63), 1e308, float("nan"), float("inf"), "", "emoji-tiny",
    "\x00", "/dev/null/x", "/\x00", "~nobody-of-that-name/x", "../../x", "a" * 5000, "\x1b[2J", "\u202e", "\U0001f600",
    b"", b"\xff" * 40, [], {}, [[]], {"a": {}}, "txt2img", "0" * 16,
]  # fmt: skip


def resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def a_message(chance: random.Random) -> bytes:
    """A request as a careless or hostile client might send it; never the one that is allowed to end the engine."""
    kinds = [kind for kind in get_args(ClientCommand) if kind is not Shutdown]
    kind = chance.choice(kinds)
    command: dict[str, Any] = {"type": kind.__name__}
    for name in kind.__struct_fields__:
        command[name] = chance.choice(ODD)
    if kind is Submit and chance.random() < 0.7:
        job = msgspec.to_builtins(make_job(steps=1))
        for name in chance.sample(sorted(job), chance.randint(0, 3)):
            job[name] = chance.choice(ODD)
        command["job"] = job
    request = {"type": "request", "id": chance.choice([1, 2, 2**40, *ODD]), "command": command}
    data = bytearray(msgspec.msgpack.encode(request))
    if chance.random() < 0.3:
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.1:
        data = bytearray(chance.randbytes(chance.randint(0, 200)))
    if chance.random() < 0.05:
        data = bytearray(b"\x91" * chance.randint(1, 100_000))  # nested without end
    length = len(data) if chance.random() < 0.95 else chance.randrange(2**32)
    return length.to_bytes(4, "big") + bytes(data)


async def send_until_let_go(path: str, messages: list[bytes], greeting: bytes) -> int:
    """Send `messages` and read what comes; how many were sent before the engine hung up."""
    reader, writer = await asyncio.open_unix_connection(path)
    reading = asyncio.create_task(drain(reader))
    writer.write(greeting)
    sent = 0
    for message in messages:
        if reading.done():
            break
        try:
            writer.write(message)
            await writer.drain()
        except OSError:
            break
        sent += 1
    if writer.can_write_eof() and not reading.done():
        writer.write_eof()
    await asyncio.wait_for(reading, 30)
    writer.transport.abort()
    return sent


async def drain(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(1 << 16):
            continue
    except OSError:
        return


async def is_served(attached: Attached) -> bool:
    """Whether this client's job, which nobody else knows, is drawn as if it were alone."""
    await attached.client.request(Resume())
    job = make_job(prompt="the good one")
    await attached.client.submit(job)
    return (await attached.end_of(job)).state == "done"


def socket_of(paths: Paths) -> str:
    told = read_engine_file(paths.lock_file)
    assert told is not None
    return told.socket


async def test_random_messages(
    quick: QuickEngine, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    quick.start()
    good = await quick.attach()
    assert await is_served(good)
    pid, before = quick.pid, 0
    assert pid is not None
    wanted = times(2_000, 10_000)
    while tally.tried < wanted:
        messages = [a_message(chance) for _ in range(chance.randint(1, 40))]
        greeting = encode(HELLO) if chance.random() < 0.9 else b""
        tally.tried += await send_until_let_go(socket_of(quick.paths), messages, greeting)
        if tally.tried > wanted // 5 and not before:
            before = resident_bytes(pid)
    assert await is_served(good)
    grown = (resident_bytes(pid) - before) / MEBIBYTE
    tally.note = f"the engine grew by {grown:.1f} MiB; {len(good.watching.events):,} events reached the other client"
    assert quick.pid == pid, "the engine is still the first"
    assert good.watching.attached == 1, "and its other client was never let go"
    assert grown < 32


async def test_frames_that_are_cut_or_too_long_or_never_come(
    quick: QuickEngine, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    quick.start()
    good = await quick.attach()
    whole = encode(HELLO) + encode(Request(id=1, command=Submit(job=make_job())))
    path = socket_of(quick.paths)
    for _ in range(times(30, 1000)):
        cut = whole[: chance.randrange(len(whole))]
        too_long = (MAX_REQUEST + chance.randint(1, 2**31)).to_bytes(4, "big") + chance.randbytes(64)
        for junk in (cut, encode(HELLO) + too_long, too_long, encode(HELLO) + encode(HELLO)):
            await send_until_let_go(path, [junk], b"")
            tally.tried += 1
    silent = [await asyncio.open_unix_connection(path) for _ in range(50)]
    tally.tried += len(silent)
    assert await is_served(good), "fifty that never greet keep nobody out"
    for _, writer in silent:
        writer.transport.abort()


async def test_fifty_clients_of_which_half_never_read(
    quick: QuickEngine, tally: Tally, times: Callable[[int, int], int]
) -> None:
    quick.start()
    assert quick.pid is not None
    good = [await quick.attach() for _ in range(25)]
    before = resident_bytes(quick.pid)
    lazy = []
    for _ in range(25):
        _, writer = await asyncio.open_unix_connection(socket_of(quick.paths), limit=1024)
        writer.transport.pause_reading()
        writer.write(encode(HELLO) + b"".join(encode(Request(id=n, command=GetSnapshot())) for n in range(500)))
        lazy.append(writer)
    jobs = [make_job(prompt="x" * 10_000 + str(number), steps=1) for number in range(times(20, 400))]
    for number, job in enumerate(jobs):
        await good[number % 25].client.submit(job)
    for client in good:
        await client.end_of(jobs[-1], 280)
        tally.tried += 1
        tally.lost += client.watching.events[-20:] != good[0].watching.events[-20:]
    grown = (resident_bytes(quick.pid) - before) / MEBIBYTE
    tally.note = f"{len(jobs)} jobs; the engine grew by {grown:.0f} MiB"
    for writer in lazy:
        writer.transport.abort()
    assert tally.lost == 0
    assert grown < 25 * 8


async def test_a_client_that_asks_for_everything_and_reads_nothing(quick: QuickEngine, tally: Tally) -> None:
    quick.start()
    good = await quick.attach()
    job = make_job(width=1024, height=1024)
    await good.client.submit(job)
    await good.end_of(job)
    (picture,) = await good.client.pictures(job.id)
    assert quick.pid is not None
    before = resident_bytes(quick.pid)
    _, greedy = await asyncio.open_unix_connection(socket_of(quick.paths), limit=1024)
    greedy.transport.pause_reading()
    asked = [Fetch(picture_id=picture.id, width=4096, height=4096)] * 500 + [GetSnapshot()] * 500
    greedy.write(encode(HELLO) + b"".join(encode(Request(id=n, command=one)) for n, one in enumerate(asked)))
    tally.tried = len(asked)
    for _ in range(5):
        assert await is_served(good)
    grown = (resident_bytes(quick.pid) - before) / MEBIBYTE
    tally.note = f"the engine grew by {grown:.0f} MiB"
    greedy.transport.abort()
    assert grown < 64


async def test_more_clients_than_it_serves_are_told_so(quick: QuickEngine, tally: Tally) -> None:
    quick.start()
    good = await quick.attach()
    writers = []
    for _ in range(MAX_CLIENTS - 1):
        _, writer, _ = await attach(quick.paths, HELLO)
        writers.append(writer)
        tally.tried += 1
    with pytest.raises(LatenttyError, match="clients already"):
        await attach(quick.paths, HELLO)
    for writer in writers:
        writer.transport.abort()
    await good.client.request(Pause())
    assert await is_served(good)


def test_a_folder_that_others_can_enter_holds_no_socket(home: Paths, tmp_path: Path, tally: Tally) -> None:
    place = home.socket_file().parent
    assert place.is_relative_to(tmp_path), (
        "not the user's own, as it is where the path of tests is too long for a socket"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)

    def refused() -> bool:
        tally.tried += 1
        try:
            home.socket_file()
        except LatenttyError as error:
            return error.problem.code == "engine_unavailable"
        return False

    for mode in (0o777, 0o770, 0o707, 0o755, 0o1777, 0o711):
        place.chmod(mode)
        tally.lost += not refused()
    place.chmod(0o700)
    place.rmdir()
    place.symlink_to(elsewhere)
    tally.lost += not refused()
    place.unlink()
    place.touch()
    tally.lost += not refused()
    place.unlink()
    if os.getuid() == 0:
        place.mkdir(mode=0o700)
        os.chown(place, 12345, -1)
        tally.lost += not refused()
        with pytest.raises(LatenttyError, match="Have XDG_RUNTIME_DIR name"):  # nobody can remove another's in /tmp
            home.socket_file()
        place.rmdir()
    assert tally.lost == 0
    assert home.socket_file().parent == place


def test_a_runtime_folder_that_others_can_change_is_not_used(
    home: Paths, tmp_path_factory: pytest.TempPathFactory, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("short")  # a socket's name has a hundred letters at most
    place = folder / "runtime"
    place.mkdir(mode=0o700)
    (folder / "link").symlink_to(place)
    (folder / "file").touch()
    for given in (place, folder / "link"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(given))
        assert home.socket_file().parent == given / "latentty", "a link to a folder of one's own is fine"
    monkeypatch.chdir(folder)
    for given in ("", "runtime", str(folder / "nowhere"), str(folder / "file")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", given)
        tally.tried += 1
        tally.lost += home.socket_file().is_relative_to(folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    for mode in (0o777, 0o770, 0o1777, 0o722):
        place.chmod(mode)
        tally.tried += 1
        tally.lost += home.socket_file().is_relative_to(folder)
    if os.getuid() == 0:
        place.chmod(0o700)
        os.chown(place, 12345, -1)
        tally.tried += 1
        tally.lost += home.socket_file().is_relative_to(folder)
    assert tally.lost == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
async def test_a_process_of_another_user_is_let_go_without_a_word(
    quick: QuickEngine, tally: Tally, times: Callable[[int, int], int]
) -> None:
    quick.start()
    good = await quick.attach()
    path = Path(socket_of(quick.paths))
    for folder in (*path.parents, path):  # the worst case: every lock on the way is open
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o777)
    for _ in range(times(2, 5)):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", STRANGER, str(path), encode(HELLO).hex(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, wrong = await process.communicate()
        tally.tried += 1
        tally.lost += told not in (b"b''\n", b"")
        assert told == b"b''\n" or b"Connection reset" in wrong or b"Broken pipe" in wrong, wrong
    assert tally.lost == 0
    assert await is_served(good)
