"""The library over the engine's socket: found in the background, remembered, searched, hashed, drawn with."""

import asyncio
import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from tests.conftest import Attached
from tests.engine.conftest import Running
from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.engine import library
from tui.library.paths import Paths
from tui.protocol.commands import CancelScan, GetLibrary, Rescan
from tui.protocol.library import LibraryPage


async def page(attached: Attached, **asked: object) -> LibraryPage:
    answer = await attached.client.request(GetLibrary(**asked))  # type: ignore[arg-type]
    return msgspec.msgpack.decode(answer, type=LibraryPage)


async def scanned(attached: Attached) -> None:
    await attached.until(lambda: attached.snapshot.library is not None and not attached.snapshot.library.running)


async def test_models_anywhere_below_a_folder_are_found_kept_and_looked_at_once(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    models = tmp_path / "home" / "ComfyUI" / "models"
    for number in range(250):
        write_safetensors(models / "loras" / f"{number:03}.safetensors", files.KOHYA)
    deep = write_safetensors(models / "checkpoints" / "deep" / "mine.safetensors", files.SD1)
    running = Running(home)
    await running.start()
    attached = await running.attach()
    await attached.until(lambda: "mine" in [model.name for model in attached.snapshot.models])
    await scanned(attached)
    assert attached.snapshot.library is not None
    assert attached.snapshot.library.counts == {"checkpoint": 1, "lora": 250}
    assert attached.snapshot.library.changed == 251
    found = await page(attached, kinds=["lora"], text="24", limit=3)
    assert (found.total, [file.name for file in found.files]) == (13, ["024", "124", "224"])

    def hashed() -> bool:
        assert running.engine is not None
        return all(file.sha256 for file in running.engine._library.files)

    digest = hashlib.sha256(deep.read_bytes()).hexdigest()
    async with asyncio.timeout(60):
        while not hashed():
            await asyncio.sleep(0.05)
    (one,) = (await page(attached, kinds=["checkpoint"])).files
    assert (one.sha256, one.short_hash) == (digest, digest[:10])
    await running.stop()
    again = Running(home)
    await again.start()
    attached = await again.attach()
    await scanned(attached)
    listed = (await page(attached, limit=1000)).files
    assert sum(not file.bundled for file in listed) == 251
    assert {file.kind for file in listed if file.bundled} == {"lora", "embedding"}, "offered without a search"
    await attached.until(lambda: attached.snapshot.library is not None and attached.snapshot.library.found == 251)
    assert attached.snapshot.library.changed == 0
    deep.unlink()
    await attached.client.request(Rescan())
    await attached.until(lambda: "mine" not in [model.name for model in attached.snapshot.models])
    await again.stop()


async def test_a_search_can_be_cancelled_and_commands_are_answered_meanwhile(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "TELL_EVERY", 0.02)
    models = tmp_path / "home" / "ComfyUI" / "models"
    for number in range(1500):
        write_safetensors(models / f"{number}.safetensors", files.KOHYA)
    attached = await running.attach()
    await attached.client.request(Rescan())
    await attached.until(lambda: attached.snapshot.library is not None and attached.snapshot.library.looked > 0)
    assert (await page(attached)).total < 1500
    await attached.client.request(CancelScan())
    await scanned(attached)
    assert attached.snapshot.library is not None
    assert attached.snapshot.library.cancelled
    assert attached.snapshot.library.looked < 1500


async def test_a_name_that_is_no_text_ends_neither_the_engine_nor_its_library(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The watcher cannot tell of such a file; folders are then looked through now and then."""
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setenv("LATENTTY_WATCH_MODELS", "true")
    monkeypatch.setattr(library, "QUIET_FOR", 50)
    models = tmp_path / "home" / "ComfyUI" / "models"
    write_safetensors(models / "fox.safetensors", files.KOHYA)
    running = Running(home)
    await running.start()
    attached = await running.attach()
    await scanned(attached)
    async with asyncio.timeout(60):
        number = 0
        while "changes of the model folders are not told" not in caplog.text:
            number += 1  # again, for the watcher may not have begun
            (models / os.fsdecode(b"not-\xff-text-%d" % number)).touch()
            await asyncio.sleep(0.1)
    await attached.client.request(Rescan())
    await scanned(attached)
    assert (await page(attached)).total >= 1
    await running.stop()
