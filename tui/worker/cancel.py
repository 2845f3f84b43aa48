"""Cancelling from outside the device thread."""

import threading
import time

from tui.protocol.problem import LatenttyError, Problem


class Cancelled(LatenttyError):
    """Someone asked for the end of what is going on."""

    def __init__(self) -> None:
        super().__init__(Problem(code="cancelled", cause="It was cancelled."))


class CancelToken:
    """Set from any thread; the device thread looks at it between two pieces of work."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.checked = time.monotonic()
        """When the device thread last passed a place where it could be stopped."""

    def cancel(self) -> None:
        """Ask for the end."""
        self._event.set()

    def check(self) -> None:
        """Go on, unless someone asked for the end.

        Raises:
            Cancelled: someone did.
        """
        self.checked = time.monotonic()
        if self._event.is_set():
            raise Cancelled
