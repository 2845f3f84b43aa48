"""What a screen can take back: the commands that undo each thing done, the last one first."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from textual import work
from textual.app import App

from tui.client import EngineClient
from tui.protocol.commands import ClientCommand
from tui.screens.engine_screen import EngineScreen

MAX_KEPT: Final = 50

UNDO_HELP: Final = "Take the last change back, of those since Latentty was opened; the trash is kept longer"


NOTHING_TO_UNDO: Final = (
    "Nothing to take back since Latentty was opened. The trash keeps pictures longer: F3, b, and d brings one back."
)


def undo_key(app: App[Any], binding: str, built_in: str = "z") -> str:
    """The key of the binding with that id as the user's keymap has it, to be told where something was done."""
    return app._keymap.get(binding, built_in).partition(",")[0]


class Undoable(Struct, frozen=True):
    """One thing done."""

    told: str
    """What taking it back does, such as "2 pictures are back"."""
    commands: list[ClientCommand]
    then: Callable[[], None] | None = None
    """What else takes it back, without the engine."""


class Undo:
    """The things done, the last :data:`MAX_KEPT` of them."""

    def __init__(self) -> None:
        self._done: list[Undoable] = []

    def add(self, told: str, *commands: ClientCommand) -> None:
        """Something was done that `commands` take back."""
        self._done = [*self._done, Undoable(told, list(commands))][-MAX_KEPT:]

    def add_here(self, told: str, back: Callable[[], None]) -> None:
        """Something was done that `back` takes back, without the engine."""
        self._done = [*self._done, Undoable(told, [], back)][-MAX_KEPT:]

    def forget(self) -> None:
        """Nothing can be taken back any more."""
        self._done = []

    def take(self) -> Undoable | None:
        """The last thing done that was not taken back yet."""
        return self._done.pop() if self._done else None


class UndoingScreen(EngineScreen):
    """A screen whose changes can be taken back, one by one."""

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._undo = Undo()

    @work(group="commands")
    async def action_undo(self) -> None:
        """Take the last change back."""
        last = self._undo.take()
        if last is None:
            self.notify(NOTHING_TO_UNDO)
            return
        done = [await self.result(command) is not None for command in last.commands]
        if all(done):
            self.notify(last.told)
