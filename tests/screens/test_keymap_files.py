"""Keymaps are files; what is wrong with one is named."""

from pathlib import Path

import pytest

from tui.app import LatenttyApp
from tui.keymap_files import PRESETS, Keymap, clashes, complaints, new_clashes, read_keymap, save_keymap
from tui.protocol.problem import LatenttyError
from tui.screens.key_places import built_in_keys, keys_by_place

BUILT_IN = {"generate": "ctrl+g", "cancel": "ctrl+x"}


def test_a_keymap_comes_back_from_its_file_with_the_comments_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "keymap.toml"
    assert read_keymap(path) == Keymap()
    path.write_text('# mine\npreset = "vim"\n[keys]\ncancel = "f12"\n')
    assert read_keymap(path).all == PRESETS["vim"] | {"cancel": "f12"}
    wanted = Keymap(preset="default", keys={"generate": "f12,ctrl+g"})
    save_keymap(path, wanted)
    assert read_keymap(path) == wanted
    assert path.read_text().startswith("# mine")


def test_what_is_wrong_with_a_keymap_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keymap.toml"
    path.write_text('preset = "emcas"')
    with pytest.raises(LatenttyError, match=r"emcas|keymap\.toml"):
        read_keymap(path)
    wrong = complaints(Keymap(keys={"genrate": "f12", "cancel": "hyper-x"}), BUILT_IN)
    assert ["genrate" in wrong[0], "hyper-x" in wrong[1], len(wrong)] == [True, True, 2]
    assert complaints(Keymap(keys={"cancel": "ctrl+k, f12"}), BUILT_IN) == []
    (clash,) = clashes({"cancel": "ctrl+g"}, {"studio": BUILT_IN})
    assert "ctrl+g" in clash
    assert clashes({"cancel": "ctrl+g,x", "generate": "f12"}, {"studio": BUILT_IN}) == []
    both = {"studio": {**BUILT_IN, "go": "ctrl+g"}}
    assert new_clashes({}, both) == [], "what is built in knows which goes first"
    assert len(new_clashes({"cancel": "ctrl+g"}, both)) == 2


def test_no_preset_gives_a_key_two_meanings() -> None:
    for preset, keys in PRESETS.items():
        assert set(keys) <= set(built_in_keys(LatenttyApp)), preset
        assert new_clashes(keys, keys_by_place(LatenttyApp)) == [], preset
