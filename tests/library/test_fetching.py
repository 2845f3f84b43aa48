"""What is fetched is whole or not there: cut connections, bad days, wrong hashes, gates, proxies and strange hosts."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import huggingface_hub.constants
import pytest

from tests.library import model_files as files
from tests.library.hub_server import Hub, hub_server
from tests.library.model_files import write_safetensors
from tui.engine.fetch_process import unwritable
from tui.library import fetching
from tui.library.fetching import client_for, fetch_all
from tui.library.remote_files import Download, RemoteFile, is_refusal, resolve, unreachable
from tui.protocol.problem import LatenttyError

TOKEN = "hf_" + "a" * 30
FOX = "hf:org/name:lora/fox.safetensors"
HOSTS = ["127.0.0.1", "localhost"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("CIVITAI_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(fetching, "SPARE", 0)
        hub.files["lora/fox.safetensors"] = write_safetensors(tmp_path / "x.safetensors", files.SDXL).read_bytes()
        hub.files["model.ckpt"] = b"\x80\x02"
        hub.files["README.md"] = b"read me"
        yield hub


async def get(source: str, folder: Path, waits: list[str] | None = None) -> Download:
    """Fetch `source` into `folder`; why it had to wait is added to `waits`."""

    def told(file: RemoteFile, done: int, total: int) -> None:
        assert 0 <= done <= total or not total

    async with client_for(HOSTS) as client:
        download = await resolve(source, client, HOSTS)
        await fetch_all(download, folder, client, told, lambda why, _: (waits if waits is not None else []).append(why))
        return download


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_file_comes_whole_over_cut_connections_and_bad_days_and_goes_on_where_it_was(
    hub: Hub, tmp_path: Path
) -> None:
    hub.faults = ["cut", "503", "cut", "429", "no ranges"]
    waits: list[str] = []
    download = await get(FOX, tmp_path / "models", waits)
    assert [re.findall("answers 503|answers 429|ended early|closed", one)[:1] for one in waits].count([]) == 0, waits
    assert any("429" in one for one in waits)
    assert download.license == "openrail"
    assert (tmp_path / "models" / "fox.safetensors").read_bytes() == hub.files["lora/fox.safetensors"]
    ranges = [asked for _, asked, _ in hub.asked]
    assert ranges[0] == ""
    assert all(one.startswith("bytes=") for one in ranges[1:])
    assert parts(tmp_path / "models") == ["fox.safetensors"]
    asked = len(hub.asked)
    await get(FOX, tmp_path / "models")
    assert len(hub.asked) == asked


async def test_a_whole_repository_comes_without_its_pickles(hub: Hub, tmp_path: Path) -> None:
    await get("hf:org/name@main", tmp_path)
    assert parts(tmp_path / "name") == ["README.md", "fox.safetensors"]


async def test_a_lender_comes_without_its_transformer(hub: Hub, tmp_path: Path) -> None:
    """What a transformer in a file of its own lacks, and no second copy of what it is."""
    fox = hub.files.pop("lora/fox.safetensors")
    for name in ("transformer/diffusion_pytorch_model-00001-of-00002.safetensors", "vae/vae.safetensors"):
        hub.files[name] = fox
    hub.files |= {"model_index.json": b"{}", "transformer/config.json": b"{}"}
    await get("hf:org/name:lender", tmp_path)
    assert parts(tmp_path / "name") == ["README.md", "config.json", "model_index.json", "vae.safetensors"]


async def test_a_second_copy_in_half_precision_stays_there_however_many_pieces_it_has(hub: Hub, tmp_path: Path) -> None:
    fox = hub.files.pop("lora/fox.safetensors")
    whole = [f"text_encoder/model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    halves = ["text_encoder/model.fp16.safetensors", "vae/diffusion_pytorch_model-00001-of-00001.fp16.safetensors"]
    hub.files |= dict.fromkeys([*whole, *halves], fox)
    await get("hf:org/name", tmp_path)
    wanted = [*whole, halves[1]]
    assert parts(tmp_path / "name") == sorted(["README.md", *(Path(name).name for name in wanted)])


async def test_a_wrong_hash_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.wrong_hash = True
    with pytest.raises(LatenttyError, match="SHA-256"):
        await get(FOX, tmp_path / "models")
    assert parts(tmp_path / "models") == []


async def test_another_file_of_that_name_is_left_alone(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    mine = tmp_path / "models" / "fox.safetensors"
    mine.write_bytes(b"mine")
    (tmp_path / "models" / "civit.safetensors").write_bytes(b"mine")
    for source in (FOX, "civitai:17"):
        with pytest.raises(LatenttyError, match="is another file"):
            await get(source, tmp_path / "models")
    assert mine.read_bytes() == b"mine"


async def test_a_token_goes_to_the_hub_and_not_to_its_storage(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = TOKEN
    with pytest.raises(LatenttyError, match="HF_TOKEN"):
        await get(FOX, tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    await get(FOX, tmp_path)
    assert {given for _, _, given in hub.asked} == {""}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("https://nowhere.example/a.safetensors", "not among those"),
        ("{hub}/storage/none.safetensors", "not there"),
        ("{hub}/storage/model.ckpt", "not opened"),
        ("{hub}/..%2fup.safetensors", "not possible|not there"),
        ("nonsense", "no place to get"),
        ("hf:org/name:none.safetensors", "has no none"),
    ],
)
async def test_what_cannot_be_fetched_is_told(hub: Hub, source: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(LatenttyError) as caught:
        await get(source.format(hub=hub.url), tmp_path / "models")
    assert re.search(told, str(caught.value))
    assert not (tmp_path / "models").exists() or parts(tmp_path / "models") == []


async def test_a_hub_that_is_no_allowed_host_is_not_asked(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("127.0.0.1", "127.0.0.2"))
    with pytest.raises(LatenttyError, match="127.0.0.2 is not among those"):
        await get(FOX, tmp_path)
    assert hub.pages == []


async def test_a_server_that_stays_down_is_given_up_and_what_came_is_kept(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TRIES", 2)
    hub.faults = ["cut", "503", "503"]
    with pytest.raises(LatenttyError, match="503"):
        await get(f"{hub.url}/storage/lora/fox.safetensors", tmp_path / "models")
    assert parts(tmp_path / "models") == ["fox.safetensors.part"]
    await get(f"{hub.url}/storage/lora/fox.safetensors", tmp_path / "models")
    assert parts(tmp_path / "models") == ["fox.safetensors"]


def test_a_disk_that_fills_up_meanwhile_is_told_with_what_to_do() -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        told = unwritable("/models", OSError(number, os.strerror(number)))
        assert (told.code, "goes on where it was" in told.hint) == ("disk_full", True)
    assert "change its rights" in unwritable("/models", PermissionError(errno.EACCES, "Permission denied")).hint


async def test_a_full_disk_is_noticed_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "SPARE", 1 << 62)
    with pytest.raises(LatenttyError, match="GB free"):
        await get("hf:org/name", tmp_path)
    assert hub.asked == []


async def test_a_version_is_fetched_by_its_number_and_its_terms_are_told(hub: Hub, tmp_path: Path) -> None:
    download = await get("civitai:17", tmp_path / "models")
    assert parts(tmp_path / "models") == ["civit.safetensors"]
    assert (download.title, download.license) == ("Foxes", "commercial use: pictures; credit the author")


async def test_a_proxy_that_refuses_is_asked_once_and_told_of_without_its_password(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.faults = ["407"]
    with pytest.raises(LatenttyError, match="proxy refuses, it wants a user and a password"):
        await get(FOX, tmp_path)
    assert len(hub.asked) == 1
    for told in ("407 Proxy Authentication Required", "403 Forbidden"):
        assert is_refusal(httpx2.ProxyError(told))
        assert "proxy refuses" in str(unreachable("fox", httpx2.ProxyError(told)))
    assert not is_refusal(httpx2.ProxyError("502 Bad Gateway"))
    for proxy in ("ann:s3cret", "http://ann:s3cret@host:port"):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(LatenttyError, match="no form that is known") as caught:
            client_for(HOSTS)
        assert "s3cret" not in str(caught.value)


async def test_the_proxy_of_the_environment_is_asked_instead(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is at a name that does not exist: only through the proxy can it be reached."""
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("tui.library.remote_files._LOCAL", ("nowhere.invalid",))
    async with client_for(["nowhere.invalid"]) as client:
        source = "http://nowhere.invalid/storage/lora/fox.safetensors"
        download = await resolve(source, client, ["nowhere.invalid"])
        await fetch_all(download, tmp_path / "models", client, lambda *_: None)
    assert parts(tmp_path / "models") == ["fox.safetensors"]


async def test_what_the_environment_forbids_is_told(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LatenttyError, match="HF_HUB_OFFLINE forbids it"):
        await get(FOX, tmp_path)
    assert hub.asked == []
