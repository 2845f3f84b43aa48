"""Choosing a theme: each is seen on the whole screen as the cursor comes to it."""

from typing import Any, Final

from textual.app import App

from tui.screens.choose import ChooseScreen

REST: Final = 0.15
"""Seconds that the cursor stays on a theme before it is shown: all of the screen is sent anew for it."""


def theme_names(app: App[Any]) -> list[str]:
    """The themes that can be chosen."""
    return sorted(name for name in app.available_themes if not name.startswith("textual-"))


async def choose_theme(app: App[Any]) -> str | None:
    """The theme that was chosen, which is shown already; None when none was, and all is as before."""
    names, before = theme_names(app), app.theme

    def show(number: int | None) -> None:
        app.theme = before if number is None else names[number]

    current = names.index(before) if before in names else None
    screen = ChooseScreen("Themes", names, "part of a name", current=current, seen=show, rest=REST)
    chosen = await app.push_screen_wait(screen)
    show(chosen)
    return None if chosen is None else names[chosen]
