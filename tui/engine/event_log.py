"""The numbered event log: every event gets the next number, and the last ones stay for clients that come back."""

import time
from collections import deque
from typing import Final

from tui.protocol.events import ClientEvent
from tui.protocol.frames import Numbered

KEPT: Final = 4096
"""Events; each is small (pictures never are in events), so this bounds bytes as well."""


class EventLog:
    """Numbers events from 1, without gaps, and keeps the last ones."""

    def __init__(self, kept: int = KEPT) -> None:
        self._events: deque[Numbered] = deque(maxlen=kept)
        self.seq = 0
        """The number of the last event."""

    def add(self, event: ClientEvent) -> Numbered:
        """`event` with its number and time."""
        self.seq += 1
        numbered = Numbered(seq=self.seq, time=time.time(), event=event)
        self._events.append(numbered)
        return numbered

    def after(self, since: int) -> list[Numbered] | None:
        """Every event above number `since`; None when some of them are gone or `since` is from elsewhere."""
        if not 0 <= since <= self.seq:
            return None
        missed = self.seq - since
        if missed > len(self._events):
            return None
        return list(self._events)[len(self._events) - missed :]
