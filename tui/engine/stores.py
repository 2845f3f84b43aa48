"""All that outlives an engine, in its database."""

from dataclasses import dataclass

from tui.engine.database import Database
from tui.engine.gallery import Gallery
from tui.engine.kept_value import KeptValue
from tui.engine.mode_states import ModeStates
from tui.engine.queue import Queue
from tui.engine.sweeps import Sweeps
from tui.protocol.events import ModelsFound
from tui.protocol.prompts import Draft


@dataclass(frozen=True)
class Stores:
    """The tables, each behind the type that knows it."""

    queue: Queue
    gallery: Gallery
    sweeps: Sweeps
    modes: ModeStates
    last_models: KeptValue[ModelsFound]
    """What the folders held when they were last looked through."""
    draft: KeptValue[Draft]
    """What the studio shows, as it was left."""

    @classmethod
    def of(cls, database: Database) -> "Stores":
        """Those of `database`."""
        return cls(
            queue=Queue(database),
            gallery=Gallery(database),
            sweeps=Sweeps(database),
            modes=ModeStates(database),
            last_models=KeptValue(database, "last_models", ModelsFound),
            draft=KeptValue(database, "draft", Draft),
        )
