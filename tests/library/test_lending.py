"""Hundreds of checkpoints that lack the same parts cost one look through the folders, not one each."""

from pathlib import Path

import pytest

from tests.library import model_files as files
from tests.library.model_files import write_safetensors
from tui.engine.model_index import ModelIndex
from tui.library import lending
from tui.library.identify import identify_file
from tui.library.lending import Lending


def test_each_folder_is_looked_through_once_for_all_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        identify_file(write_safetensors(tmp_path / f"set {number % 3}" / f"{number}.safetensors", files.FLUX))
        for number in range(30)
    ]
    looked: list[Path] = []
    real = lending.files_below
    monkeypatch.setattr(lending, "files_below", lambda folder: looked.append(folder) or real(folder))
    index = ModelIndex([], lambda: [tmp_path])
    index._look(found)
    lacking = [model for model in index.models if model.problem is not None]
    assert len(lacking) == len(found)
    assert sorted(looked) == sorted([tmp_path, *(tmp_path / f"set {number}" for number in range(3))])


def test_what_came_since_the_last_scan_is_lent(tmp_path: Path) -> None:
    vae, pack = tmp_path / "ae.safetensors", tmp_path / "pack"
    (pack / "vae").mkdir(parents=True)
    (pack / "vae" / "config.json").write_text('{"block_out_channels": [8, 8], "latent_channels": 4}')
    before = Lending([tmp_path])
    assert before.file("vae", pack, tmp_path) is None
    write_safetensors(vae, {"decoder.conv_in.weight": [8, 4, 3, 3]})
    assert before.file("vae", pack, tmp_path) is None
    assert Lending([tmp_path]).file("vae", pack, tmp_path) == vae
