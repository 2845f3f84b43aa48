"""The socket's folder is its owner's alone, or it is not used."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tui.library.paths import MAX_SOCKET_PATH, Paths, private_folder
from tui.protocol.problem import LatenttyError


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    assert private_folder(tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_folder_open_to_others_and_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "own")
    for name in ("open", "link"):
        with pytest.raises(LatenttyError, match=name):
            private_folder(tmp_path / name)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(LatenttyError, match="another user"):
        private_folder(tmp_path / "theirs")


def test_a_long_runtime_folder_still_leads_to_a_socket(
    home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert len(os.fsencode(home.socket_file())) <= MAX_SOCKET_PATH


def test_engines_with_different_state_never_share_a_socket(home: Paths, tmp_path: Path) -> None:
    other = replace(home, state=tmp_path / "other")
    assert other.socket_file() != home.socket_file()
