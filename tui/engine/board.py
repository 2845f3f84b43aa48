"""What every client sees: one Snapshot, changed by numbered events alone, and the newest preview frame."""

from tui.engine.diary import write_down
from tui.engine.event_log import EventLog
from tui.engine.session import Session
from tui.protocol.events import ClientEvent, EngineState
from tui.protocol.frames import Numbered, Preview, encode
from tui.protocol.snapshot import Snapshot, apply


class Board:
    """Folds events into the snapshot and tells them to every attached client."""

    def __init__(self, engine: EngineState) -> None:
        self.snapshot = Snapshot(engine=engine)
        self.sessions: set[Session] = set()
        self._events = EventLog()
        self._preview: Preview | None = None

    @property
    def seq(self) -> int:
        """The number of the last event."""
        return self._events.seq

    def tell(self, event: ClientEvent) -> None:
        """`event` happened."""
        numbered = self._events.add(event)
        held = self.snapshot.engine.hold
        apply(self.snapshot, event)
        if not isinstance(event, EngineState) or event.hold != held:
            write_down(event, self.snapshot)
        if self.snapshot.step is None:
            self._preview = None
        data = encode(numbered)
        for session in self.sessions:
            session.send_encoded(data)

    def show(self, preview: Preview) -> None:
        """The picture has come this far."""
        self._preview = preview
        for session in self.sessions:
            session.show(preview)

    def missed(self, since: int) -> list[Numbered] | None:
        """The events after number `since`, or None when a snapshot must stand for them."""
        return self._events.after(since)

    def join(self, session: Session) -> None:
        """From now on `session` is told of everything."""
        self.sessions.add(session)
        if self._preview is not None:
            session.show(self._preview)

    def leave(self, session: Session) -> None:
        """`session` has ended."""
        self.sessions.discard(session)
