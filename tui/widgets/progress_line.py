"""How far something is: a bar, a rate, the time left."""

from typing import Final

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.library.durations import duration
from tui.library.plain_text import shortened
from tui.protocol.events import Loading
from tui.protocol.snapshot import Snapshot

FULL, HALF = "━", "╸"
MEBIBYTE = 1 << 20
GIGABYTE = 10**9

NAME: Final = 20
"""Cells for the name of what is read."""


class ProgressLine(Widget):
    """One line; empty while nothing is under way."""

    fraction: reactive[float | None] = reactive(None)
    """From 0 to 1; None while nothing is under way."""
    told = reactive("")
    """What stands to the right of the bar."""

    def show(self, snapshot: Snapshot) -> None:
        """Show what `snapshot` says is under way."""
        step, loading = snapshot.step, snapshot.loading
        if snapshot.running is not None and step is not None and step.step:
            self.fraction = step.step / step.steps
            rate = f"  {1 / step.step_seconds:.1f} it/s" if step.step_seconds else ""
            left = f"  {duration((step.steps - step.step) * step.step_seconds)} left" if step.step_seconds else ""
            self.told = f"{step.step}/{step.steps}{rate}{left}"
        elif loading is not None:
            self.fraction = loading.done_bytes / max(loading.total_bytes, 1)
            done, total = loading.done_bytes / MEBIBYTE, loading.total_bytes / MEBIBYTE
            self.told = f"loading {loading.component}  {done:.0f}/{total:.0f} MiB{_way(loading)}"
        elif snapshot.running is not None:
            self.fraction, self.told = 0.0, "reading the prompt"
        elif snapshot.waiting and snapshot.engine.worker == "starting":
            self.fraction, self.told = 0.0, "starting torch"
        else:
            self.fraction, self.told = None, ""

    def show_read(self, name: str, done: int, total: int, seconds: float) -> None:
        """Show that `done` of `total` bytes of a file were read in so many seconds; `total` is 0 before it is known."""
        told = f"reading {shortened(name, NAME)}"
        if done and total:
            rate = done / max(seconds, 0.001)
            told += f"  {done / MEBIBYTE:.1f}/{total / MEBIBYTE:.1f} MiB  {rate / MEBIBYTE:.1f} MiB/s"
            told += f"  {duration((total - done) / rate)} left"
        self.fraction, self.told = done / max(total, 1), told

    def tell(self, fraction: float | None, told: str = "") -> None:
        """Show that something is `fraction` done, or nothing."""
        self.fraction, self.told = fraction, told

    def render(self) -> Content:
        """The line."""
        if self.fraction is None:
            return Content("")
        width = max(self.size.width - len(self.told) - 2, 0)
        halves = round(min(self.fraction, 1.0) * width * 2)
        bar = FULL * (halves // 2) + HALF * (halves % 2)
        rest = FULL * (width - len(bar))
        return Content.assemble((bar, "$accent"), (rest, "$panel-lighten-1"), ("  " + self.told, ""))


def _way(loading: Loading) -> str:
    """How fast a model comes, and that its disk is slow where it is."""
    rate = f"  {loading.rate / GIGABYTE:.1f} GB/s" if loading.rate >= GIGABYTE / 10 else ""
    return f"{rate}  slow disk, one reader" if loading.reader == "sequential" else rate
