"""kill -9 of a download and of its engine at any byte: what has come is gone on with, and no half file has a name."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Attached, pictures_below
from tests.faults.conftest import QuickEngine, Tally
from tests.library.hub_server import PIECE, Hub, hub_of_user
from tui.protocol.commands import CancelDownload, StartDownload
from tui.protocol.download import DownloadState

SIZE = 40 * PIECE


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_of_user(monkeypatch, tmp_path / "models") as hub:
        monkeypatch.setenv("LATENTTY_WATCH_MODELS", "false")
        yield hub


def fetching_process(engine: int) -> int | None:
    """The process id of the engine's download."""
    for child in Path(f"/proc/{engine}/task/{engine}/children").read_text().split():
        if b"fetch_process" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


def bytes_there(folder: Path) -> int:
    return sum(path.stat().st_size for path in pictures_below(folder)) if folder.exists() else 0


def count_damage(folder: Path, files: dict[str, bytes]) -> int:
    """Files that are not whole under their own names, and pieces that are not the beginning of theirs."""
    damage = 0
    for path in pictures_below(folder) if folder.exists() else []:
        name = str(path.relative_to(folder))
        if name.endswith(".part"):
            damage += not files[name.removesuffix(".part")].startswith(path.read_bytes())
        else:
            damage += files[name] != path.read_bytes()
    return damage


async def test_a_download_dies_at_any_byte_and_goes_on(
    quick: QuickEngine,
    hub: Hub,
    tmp_path: Path,
    tally: Tally,
    chance: random.Random,
    times: Callable[[int, int], int],
) -> None:
    """Every second time its engine dies, too."""
    rounds = 0
    await asyncio.to_thread(quick.start)
    attached = await quick.attach()
    while tally.tried < times(2, 200):
        folder = tmp_path / f"models-{rounds}"
        hub.files = {"lora/fox.safetensors": chance.randbytes(SIZE)}
        files = {"fox.safetensors": hub.files["lora/fox.safetensors"]}
        hub.pace, hub.sent = 0.004, 0
        for place in sorted(chance.uniform(0, 1.02) for _ in range(times(2, 4))):
            await begin(attached, folder)
            if not await came_to(folder, int(place * SIZE)):
                break
            await die(quick, attached, engine=tally.tried % 2 == 1)
            tally.tried += 1
            tally.lost += count_damage(folder, files)
        await begin(attached, folder)
        await attached.until(lambda: not only(attached).open)
        assert only(attached).phase == "done", only(attached).problem
        tally.lost += count_damage(folder, files) + ({path.name for path in folder.iterdir()} != {"fox.safetensors"})
        tally.most["times its size was sent"] = max(tally.most.get("times its size was sent", 0), hub.sent / (SIZE))
        await attached.client.request(CancelDownload(id=only(attached).id))  # listed no more
        await attached.until(lambda: not attached.snapshot.downloads)
        rounds += 1
    assert tally.lost == 0
    assert any(asked for _, asked, _ in hub.asked), "some went on where they were"


def only(attached: Attached) -> DownloadState:
    (state,) = attached.snapshot.downloads.values()
    return state


async def begin(attached: Attached, folder: Path) -> None:
    """Have it fetched from now on, unless the engine does already."""
    await attached.client.request(StartDownload(source="hf:org/name:lora/fox.safetensors", folder=str(folder)))


async def came_to(folder: Path, size: int) -> bool:
    """Wait until that many bytes are there; False when the whole file is."""
    async with asyncio.timeout(60):
        while bytes_there(folder) < size and not (folder / "fox.safetensors").exists():
            await asyncio.sleep(0.001)
    return not (folder / "fox.safetensors").exists()


async def die(quick: QuickEngine, attached: Attached, *, engine: bool) -> None:
    """End the download's process, and the engine's if `engine`."""
    assert quick.pid is not None
    if engine:
        quick.kill()
        await asyncio.to_thread(quick.start)
        return
    process = fetching_process(quick.pid)
    if process is not None:
        os.kill(process, signal.SIGKILL)
        await attached.until(lambda: not only(attached).open)
