"""The questions that a terminal is asked, and its answers, told apart from what the user types meanwhile.

xterm's control sequences (XTVERSION, DA1, DECRQM, DECRQSS, window reports) and kitty's graphics query. Every
terminal answers DA1, so its answer is the last one.
"""

import re
from typing import Final

KITTY_QUESTION: Final = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
"""Do you take pictures as kitty does? tmux and screen would make it the window's title."""

QUESTIONS: Final = (
    "\x1b[>q"  # XTVERSION: what are you?
    "\x1b[16t"  # how many pixels has a cell?
    "\x1b[?2026$p"  # can you show an update all at once?
    "\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m"  # is this colour still the one that was set?
    "\x1b[c"  # DA1: what can you do?
)

LONGEST: Final = 4096
"""Characters after which something that began like an answer is taken to be none."""

_WHOLE = re.compile(
    r"\x1bP[^\x1b]*\x1b\\"
    r"|\x1b_[^\x1b]*\x1b\\"
    r"|\x1b\[\?[\d;]*c"
    r"|\x1b\[\?[\d;]*\$y"
    r"|\x1b\[6;\d+;\d+t"
)
_BEGUN = re.compile(r"\x1b([P_][^\x1b]*\x1b?|\[(\?[\d;]*\$?|6(;\d*){0,2})?)?")

_NAME = re.compile(r"\x1bP>\|(.*)\x1b\\", re.DOTALL)
_KITTY = re.compile(r"\x1b_Gi=31[^;]*;OK\x1b\\")
_CELL = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_SYNCHRONIZED = re.compile(r"\x1b\[\?2026;[123]\$y")
_COLOUR = re.compile(r"\x1bP1\$r.*48[:;]2[:;]{1,2}1[:;]2[:;]3")
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")


class AnswerReader:
    """Takes what comes from the terminal, keeps the answers and gives back the rest, which was typed.

    What may be the beginning of an answer is held back until it is clear.
    """

    def __init__(self) -> None:
        self.answers: list[str] = []
        """Every answer so far, whole."""
        self.complete = False
        """Whether the last answer has come."""
        self._held = ""

    def feed(self, text: str) -> str:
        """The part of `text`, and of what was held back, that is no answer."""
        typed: list[str] = []
        rest = self._held + text
        while rest:
            before, escape, after = rest.partition("\x1b")
            typed.append(before)
            rest = escape + after
            if whole := _WHOLE.match(rest):
                self.answers.append(whole.group())
                self.complete = self.complete or _ATTRIBUTES.fullmatch(whole.group()) is not None
                rest = rest[whole.end() :]
            elif _BEGUN.fullmatch(rest) and len(rest) <= LONGEST:
                break
            else:
                typed.append(rest[:1])
                rest = rest[1:]
        self._held = rest
        return "".join(typed)

    def give_up(self) -> str:
        """What is held back, which will not become an answer any more."""
        held, self._held = self._held, ""
        return held

    @property
    def name(self) -> str:
        """What the terminal calls itself; empty when it did not say."""
        return self._first(_NAME)[0] or ""

    @property
    def kitty_graphics(self) -> bool:
        """Whether it takes pictures as kitty does."""
        return self._has(_KITTY)

    @property
    def cell(self) -> tuple[int, int]:
        """A cell's width and height in pixels; zeros when it did not say."""
        height, width = self._first(_CELL, 2)
        return int(width or 0), int(height or 0)

    @property
    def synchronized(self) -> bool:
        """Whether it can show an update all at once."""
        return self._has(_SYNCHRONIZED)

    @property
    def truecolor(self) -> bool:
        """Whether it kept a colour that only truecolor has."""
        return self._has(_COLOUR)

    @property
    def sixel(self) -> bool:
        """Whether it takes sixels."""
        return "4" in (self._first(_ATTRIBUTES)[0] or "").split(";")[1:]

    def _has(self, pattern: re.Pattern[str]) -> bool:
        return any(pattern.match(answer) for answer in self.answers)

    def _first(self, pattern: re.Pattern[str], groups: int = 1) -> tuple[str | None, ...]:
        for answer in self.answers:
            if match := pattern.fullmatch(answer):
                return match.groups()
        return (None,) * groups
