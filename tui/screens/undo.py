"""What a screen can take back: the commands that undo each thing done, the last one first."""

from typing import Final

from msgspec import Struct

from tui.protocol.commands import ClientCommand

MAX_KEPT: Final = 50


class Undoable(Struct, frozen=True):
    """One thing done."""

    told: str
    """What taking it back does, such as "2 pictures are back"."""
    commands: list[ClientCommand]


class Undo:
    """The things done, the last :data:`MAX_KEPT` of them."""

    def __init__(self) -> None:
        self._done: list[Undoable] = []

    def add(self, told: str, *commands: ClientCommand) -> None:
        """Something was done that `commands` take back."""
        self._done = [*self._done, Undoable(told, list(commands))][-MAX_KEPT:]

    def take(self) -> Undoable | None:
        """The last thing done that was not taken back yet."""
        return self._done.pop() if self._done else None
