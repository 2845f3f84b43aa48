"""Themes are files; a bad one is a message, never a crash."""

from contextlib import suppress
from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from tests.screens.conftest import OpenApp, until
from tui.library.paths import Paths, shipped_themes
from tui.protocol.problem import LatenttyError
from tui.theme_files import read_theme, read_themes, signature


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
        ('name = "x"\nprimary = "#fff"\nbackground = "transparent"', "opaque"),
        ('name = "x"\nprimary = "#fff"\n[variables]\nborder = "}{"', "colour"),
        ('name = "x"\nprimary = "#fff"\n[variables]\npanel = "no_colour"', "no_colour"),
        ('name = "x"\nprimary = "#fff"\n[variables]\nlink-style = "loud"', "words"),
        ('name = "x"\nprimary = "#fff"\n[variables]\nbord = "#fff"', "no variable"),
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


def test_what_a_theme_does_not_say_is_made_from_its_own_colours(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nprimary = "#f0a"\nbackground = "#101030"\nforeground = "#e0e0ff"\n[variables]\nborder = "#fff"'
    )
    theme = read_theme(tmp_path / "mine.toml")
    assert theme.variables["border"] == "#fff"
    assert theme.variables["footer-key-foreground"] == "#f0a"
    line, background = Color.parse(theme.variables["border-blurred"]), Color.parse("#101030")
    assert ratio(line, background) >= 1.4


def luminance(colour: Color) -> float:
    """As WCAG 2 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: Color, other: Color) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_there_are_eight_themes_or_more_and_each_can_be_read() -> None:
    """WCAG's measure: 7 for text, 4.5 for every word in a colour, 1.4 for the lines around a pane."""
    themes, _ = read_themes([shipped_themes()])
    assert len(themes) >= 8
    for theme in themes:
        background = Color.parse(theme.background)
        for name, least in {"foreground": 7, "accent": 4.5, "success": 4.5, "warning": 4.5, "error": 4.5}.items():
            contrast = ratio(Color.parse(getattr(theme, name)), background)
            assert contrast >= least, f"{theme.name}: {name} {contrast:.1f}"
        faded = background.blend(Color.parse(theme.foreground), 0.6)
        muted = Color.parse(theme.variables["text-muted"]) if "text-muted" in theme.variables else faded
        assert ratio(muted, background) >= 4.5, f"{theme.name}: what is muted"
        line = Color.parse(theme.variables["border-blurred"])
        assert ratio(line, background) >= 1.4, theme.name
        assert ratio(Color.parse(theme.accent), Color.parse(theme.panel)) >= 4, theme.name
        assert theme.primary == theme.accent, "one accent"


def test_a_change_in_a_theme_folder_is_seen(tmp_path: Path) -> None:
    before = signature(tmp_path)
    (tmp_path / "mine.toml").write_text('name = "mine"')
    first = signature(tmp_path)
    (tmp_path / "mine.toml").write_text('name = "mine2"')
    assert len({before, first, signature(tmp_path)}) == 3


async def test_a_theme_that_the_user_changes_is_taken_up_at_once(open_app: OpenApp, home: Paths) -> None:
    home.themes.mkdir(parents=True)
    mine = home.themes / "mine.toml"
    mine.write_text('name = "latentty"\nprimary = "#123456"')
    async with open_app() as pilot:
        assert pilot.app.current_theme.primary == "#123456"
        mine.write_text('name = "latentty"\nprimary = "#6543210"')
        await until(pilot, lambda: any("6543210" in one.message for one in pilot.app._notifications))
        mine.write_text('name = "latentty"\nprimary = "#654321"')
        await until(pilot, lambda: pilot.app.current_theme.primary == "#654321")


async def test_every_value_that_a_variable_may_have_can_be_drawn_with(home: Paths, open_app: OpenApp) -> None:
    """Each of them somewhere, in an app that has shown every place: a style sheet is read when its widget comes."""
    home.themes.mkdir(parents=True)
    usual = Theme(name="", primary="#ffffff").to_color_system().generate()
    head = 'primary = "#fff"\n[variables]\n'
    names = []
    for colour in ("#123456 50%", "rgb(1, 2, 3)", "ansi_red", "auto 9%"):
        lines = []
        for name in usual:
            line = f'{name} = "{"not bold underline" if "style" in name else colour}"'
            (home.themes / "x.toml").write_text(f'name = "x"\n{head}{line}')
            with suppress(LatenttyError):
                read_theme(home.themes / "x.toml")
                lines.append(line)
        names.append(f"of {len(lines)} {colour.replace('#', '')}")
        (home.themes / f"{len(names)}.toml").write_text(f'name = "{names[-1]}"\n{head}' + "\n".join(lines))
    assert sum(int(name.split()[1]) for name in names) > 300
    async with open_app(80, 24) as pilot:
        for key in ("f3", "f5", "f7", "f2"):
            await pilot.press(key)
        for name in names:
            pilot.app.theme = name
            await pilot.pause()
