"""The engine fetches models: watched from a command, going on after its own death, stopped when told to."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Attached
from tests.library import model_files as files
from tests.library.hub_server import Hub, hub_of_user
from tests.library.model_files import write_safetensors
from tui.cli import main
from tui.library.paths import Paths
from tui.protocol.commands import CancelDownload, StartDownload
from tui.protocol.download import DownloadState

FOX = "hf:org/name:lora/fox.safetensors"
TOKEN = "hf_" + "a" * 30


@pytest.fixture
def hub(home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_of_user(monkeypatch, tmp_path / "models") as hub:
        monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
        hub.files["lora/fox.safetensors"] = write_safetensors(tmp_path / "x.safetensors", files.KOHYA_XL).read_bytes()
        yield hub


def test_the_command_has_the_engine_fetch_and_tells_where_it_is(
    hub: Hub, home: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["models", "get", "hf:org/name:none.safetensors"]) == 1
    assert "has no none" in capsys.readouterr().err
    hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)  # the engine was started without it
    assert main(["models", "get", FOX]) == 0
    told = capsys.readouterr()
    assert told.out == f"{tmp_path / 'models' / 'fox.safetensors'}\n"
    (tmp_path / "models" / "fox.safetensors").unlink()
    assert main(["models", "get", FOX]) == 0
    assert (tmp_path / "models" / "fox.safetensors").exists(), "the end of the former try is not that of this"
    assert "licence: openrail" in told.err
    assert all(page.startswith(("/api/models/", "/org/name/resolve/")) for page in hub.pages), "and nothing else"
    log = home.log_file.read_text() + home.database_file.read_bytes().decode(errors="replace")
    assert TOKEN not in log + told.out + told.err


async def test_a_download_goes_on_with_the_next_engine_and_ends_when_told_to(
    hub: Hub, tmp_path: Path, attached: Attached
) -> None:
    hub.open.clear()

    def only() -> DownloadState:
        (state,) = attached.snapshot.downloads.values()
        return state

    async def asked(times: int) -> None:
        async with asyncio.timeout(60):
            while len(hub.asked) < times:
                await asyncio.sleep(0.02)

    await attached.client.request(StartDownload(source=FOX))
    await attached.until(lambda: only().phase == "fetching" and only().license == "openrail")
    await asked(1)
    os.kill(attached.engine_pid, signal.SIGKILL)
    await asked(2)
    await attached.client.request(CancelDownload(id=only().id))
    await attached.until(lambda: only().phase == "cancelled")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["fox.safetensors.part"]
    hub.open.set()
    await attached.client.request(StartDownload(source=FOX))
    await attached.until(lambda: not only().open)
    assert (only().phase, only().problem) == ("done", None)
    assert only().paths == [str(tmp_path / "models" / "fox.safetensors")]
    assert only().done_bytes == only().total_bytes == len(hub.files["lora/fox.safetensors"])
    await attached.until(lambda: (attached.snapshot.library is not None) and "lora" in attached.snapshot.library.counts)
    await attached.client.request(CancelDownload(id=only().id))
    await attached.until(lambda: attached.snapshot.downloads == {})
