"""What is fetched is whole or not there: cut connections, bad days, wrong hashes, gates and strange hosts."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from tests.headless.hub_server import Hub, hub_server
from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.cli import main
from tui.library import fetching
from tui.library.paths import Paths

TOKEN = "hf_" + "a" * 30


@pytest.fixture
def hub(home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # other tests set it for the libraries that they load
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(tmp_path / "models"))
        monkeypatch.setenv("LATENTTY_DOWNLOAD_HOSTS", "127.0.0.1:localhost")
        monkeypatch.setattr(fetching, "SPARE", 0)
        hub.files["lora/fox.safetensors"] = write_safetensors(tmp_path / "x.safetensors", files.SDXL).read_bytes()
        hub.files["model.ckpt"] = b"\x80\x02"
        hub.files["README.md"] = b"read me"
        yield hub


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_comes_whole_over_cut_connections_and_bad_days_and_goes_on_where_it_was(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults = ["cut", "503", "cut", "429", "no ranges"]
    assert main(["models", "get", "hf:org/name:lora/fox.safetensors"]) == 0
    target = tmp_path / "models" / "fox.safetensors"
    told = capsys.readouterr()
    assert (told.out, target.read_bytes()) == (f"{target}\n", hub.files["lora/fox.safetensors"])
    assert "licence: openrail" in told.err
    ranges = [asked for _, asked, _ in hub.asked]
    assert ranges[0] == ""
    assert all(one.startswith("bytes=") for one in ranges[1:])
    assert parts(tmp_path / "models") == ["fox.safetensors"]
    asked = len(hub.asked)
    assert main(["models", "get", "hf:org/name:lora/fox.safetensors"]) == 0
    assert len(hub.asked) == asked


def test_a_whole_repository_comes_without_its_pickles(hub: Hub, tmp_path: Path) -> None:
    assert main(["models", "get", "hf:org/name@main"]) == 0
    assert parts(tmp_path / "models" / "name") == ["README.md", "fox.safetensors"]


def test_a_wrong_hash_leaves_nothing(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.wrong_hash = True
    assert main(["models", "get", "hf:org/name:lora/fox.safetensors"]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert parts(tmp_path / "models") == []


def test_a_token_goes_to_the_hub_and_not_to_its_storage(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.token = TOKEN
    assert main(["models", "get", "hf:org/name:lora/fox.safetensors"]) == 1
    assert "HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(["models", "get", "hf:org/name:lora/fox.safetensors"]) == 0
    assert {given for _, _, given in hub.asked} == {""}
    told = capsys.readouterr()
    assert TOKEN not in told.out + told.err


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
def test_what_cannot_be_fetched_is_told(
    hub: Hub, source: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert main(["models", "get", source.format(hub=hub.url)]) == 1
    assert re.search(told, capsys.readouterr().err)
    assert not (tmp_path / "models").exists() or parts(tmp_path / "models") == []


def test_a_server_that_stays_down_is_given_up_and_what_came_is_kept(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TRIES", 2)
    hub.faults = ["cut", "503", "503"]
    assert main(["models", "get", f"{hub.url}/storage/lora/fox.safetensors"]) == 1
    assert parts(tmp_path / "models") == ["fox.safetensors.part"]
    assert main(["models", "get", f"{hub.url}/storage/lora/fox.safetensors"]) == 0


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetching, "SPARE", 1 << 62)
    assert main(["models", "get", "hf:org/name"]) == 1
    assert "GB free" in capsys.readouterr().err
    assert hub.asked == []


def test_a_version_is_fetched_by_its_number(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CIVITAI_ENDPOINT", hub.url)
    assert main(["models", "get", "civitai:17"]) == 0
    assert parts(tmp_path / "models") == ["civit.safetensors"]
    assert "Foxes" in capsys.readouterr().err


def test_what_the_environment_forbids_is_told(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert main(["models", "get", "hf:org/name:lora/fox.safetensors"]) == 1
    assert "HF_HUB_OFFLINE forbids it" in capsys.readouterr().err
    assert hub.asked == []
