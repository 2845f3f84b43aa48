"""Themes are files; a bad one is a message, never a crash."""

from pathlib import Path

import pytest

from tui.library.paths import shipped_themes
from tui.protocol.problem import LatenttyError
from tui.theme_files import read_theme, read_themes


def test_every_shipped_theme_can_be_used() -> None:
    themes, problems = read_themes([shipped_themes()])
    assert problems == []
    assert "latentty" in {theme.name for theme in themes}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "x"', "primary"),
        ('name = "x"\nprimary = "no colour"', "no colour"),
        ('name = "x"\nprimary = "#fff"\nprimry = "#000"', "primry"),
        ("name = ", "x.toml"),
    ],
)
def test_what_is_wrong_with_a_theme_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(LatenttyError, match=told):
        read_theme(tmp_path / "x.toml")
    themes, problems = read_themes([shipped_themes(), tmp_path])
    assert len(themes) >= 1
    assert len(problems) == 1


def test_a_users_theme_replaces_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "latentty"\nprimary = "#123456"')
    themes, _ = read_themes([shipped_themes(), tmp_path])
    assert [theme.primary for theme in themes if theme.name == "latentty"] == ["#123456"]
