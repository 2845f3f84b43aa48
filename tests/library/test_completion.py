"""Paths that are typed: what is there, and how they may go on."""

from pathlib import Path

import pytest

from tui.library.completion import MOST, complete_path
from tui.protocol.paths import PathFound


def test_what_is_there_and_what_begins_like_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cats").mkdir()
    for name in ("cat.png", "dog.png", ".cache"):
        (tmp_path / name).touch()
    assert complete_path("~") == PathFound(kind="folder", completions=["~/"])
    assert complete_path("~/") == PathFound(kind="folder", completions=["~/cat.png", "~/cats/", "~/dog.png"])
    assert complete_path("~/ca", folders=True) == PathFound(completions=["~/cats/"])
    assert complete_path("~/.c") == PathFound(completions=["~/.cache"])
    assert complete_path(f"{tmp_path}/cat.png") == PathFound(kind="file", completions=[f"{tmp_path}/cat.png"])
    for nowhere in ("", "cat", "~/bird", "~/cat.png/x", "/\0", "/" + "x" * 4000, "~nobody-here/x"):
        assert complete_path(nowhere) == PathFound()


def test_a_full_folder_offers_a_few(tmp_path: Path) -> None:
    for number in range(MOST + 20):
        (tmp_path / f"{number:03}.png").touch()
    found = complete_path(f"{tmp_path}/").completions
    assert found == [f"{tmp_path}/{number:03}.png" for number in range(MOST)]
