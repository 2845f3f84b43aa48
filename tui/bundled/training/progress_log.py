"""Lines that tell how the training goes, each with the seconds since it began."""

import sys
import time


class ProgressLog:
    """Writes to the standard error; `name` says who speaks."""

    def __init__(self, name: str, begun: float | None = None) -> None:
        self._name = name
        self.begun = time.time() if begun is None else begun
        """When the whole began, in seconds of the clock that all processes share."""

    def __call__(self, text: str) -> None:
        """Tell `text`."""
        print(f"[{self.elapsed():7.1f}] {self._name}: {text}", file=sys.stderr, flush=True)

    def named(self, name: str) -> "ProgressLog":
        """The same for another speaker."""
        return ProgressLog(name, self.begun)

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.time() - self.begun
