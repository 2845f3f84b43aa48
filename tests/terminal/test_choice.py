"""The way of showing pictures follows from what is known, with a reason and advice."""

import pytest

from tui.terminal.choice import choose, possible
from tui.terminal.report import terminal_lines
from tui.terminal.terminal import Terminal, Tmux

FACTS = {"is_terminal": True, "columns": 120, "rows": 36, "cell_width": 9, "cell_height": 17, "answered": 0.02}


def known(**facts: object) -> Terminal:
    return Terminal(**(FACTS | facts))


def in_tmux(outer: str, *, passthrough: bool, features: frozenset[str] = frozenset(), sixel: bool = False) -> Terminal:
    tmux = Tmux(client="/dev/pts/1:7", outer=outer, features=features, passthrough=passthrough)
    return known(between="tmux", name="tmux 3.4", tmux=tmux, sixel=sixel)


@pytest.mark.parametrize(
    ("terminal", "protocol", "advice"),
    [
        (known(name="kitty(0.41.1)", kitty_graphics=True), "kitty", ""),
        (known(name="ghostty 1.1.3", kitty_graphics=True), "kitty", ""),
        (known(name="kitty(0.26.5)", kitty_graphics=True), "halfblock", "kitty 0.28"),
        (known(name="Konsole 24.02", kitty_graphics=True, sixel=True), "sixel", ""),
        (known(name="WezTerm 20240203", kitty_graphics=True, sixel=True), "iterm2", ""),
        (known(name="iTerm2 3.5.0", sixel=True), "iterm2", ""),
        (known(name="XTerm(379)", sixel=True), "sixel", ""),
        (known(name="XTerm(379)", sixel=True, cell_width=0), "halfblock", "kitty"),
        (known(answered=None), "halfblock", "slow"),
        (in_tmux("kitty(0.41.1)", passthrough=True), "kitty", ""),
        (in_tmux("kitty(0.41.1)", passthrough=False), "halfblock", "allow-passthrough"),
        (in_tmux("XTerm(379)", passthrough=True, sixel=True), "halfblock", "kitty"),
        (in_tmux("foot(1.16)", passthrough=True, features=frozenset({"sixel"}), sixel=True), "sixel", ""),
        (known(between="mosh", sixel=True, kitty_graphics=True, name="kitty(0.41.1)"), "halfblock", "SSH"),
        (known(between="screen"), "halfblock", "SSH"),
        (known(between="browser"), "halfblock", ""),
        (known(colours=False), "ascii", "NO_COLOR"),
        (Terminal(), "off", ""),
    ],
)
def test_each_terminal_gets_the_best_it_can_show(terminal: Terminal, protocol: str, advice: str) -> None:
    choice = choose(terminal)
    assert choice.protocol == protocol, choice
    assert choice.reason.endswith(".")
    assert advice in choice.advice
    assert bool(advice) == bool(choice.advice)
    told = dict(terminal_lines(terminal))
    assert choice.reason in told["Pictures"]


def test_what_the_user_wants_comes_first_and_doubts_are_told() -> None:
    plain = known(name="VTE(7200)")
    assert choose(plain, "ascii").protocol == "ascii"
    assert choose(plain, "ascii").advice == ""
    assert choose(plain, "kitty").protocol == "kitty"
    assert "auto" in choose(plain, "kitty").advice
    assert choose(Terminal(), "kitty").protocol == "off"
    assert possible(plain) == ["halfblock", "ascii", "off"]
