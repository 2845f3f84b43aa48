"""The preview pane: the picture as it forms, how far it is, what waits, and the last ones made."""

from PIL import Image
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tui.library.plain_text import plain
from tui.protocol.problem import Problem
from tui.protocol.snapshot import Snapshot
from tui.widgets.picture_strip import PictureStrip
from tui.widgets.picture_view import PictureView
from tui.widgets.progress_line import ProgressLine


class PreviewPane(Vertical):
    """Shows; asks for nothing."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.border_title = "Preview"
        self._picture = PictureView(id="picture")
        self._problem = Static(id="problem", markup=False)
        self._progress = ProgressLine(id="progress")
        self._recent = PictureStrip(id="recent")
        self._queue = Static(id="queue", markup=False)

    def compose(self) -> ComposeResult:
        """Picture, progress, recent pictures, queue."""
        yield from (self._picture, self._problem, self._progress, self._recent, self._queue)

    def show_picture(self, image: Image.Image | None, *, live: bool = False) -> None:
        """Show `image`, or nothing; `live` while it still forms."""
        self._picture.show(image, live=live)

    @property
    def picture_pixels(self) -> tuple[int, int]:
        """The most pixels that the picture's place can show, width and height."""
        return self._picture.pixels

    @property
    def recent_pixels(self) -> int:
        """The most pixels that a recent picture can show along its longer side."""
        return self._recent.pixels

    @property
    def recent_wanted(self) -> int:
        """How many recent pictures there is room for."""
        return self._recent.wanted

    def show_recent(self, images: dict[int, Image.Image]) -> None:
        """Show the strip of recent pictures."""
        self._recent.show(images)

    def show_problem(self, problem: Problem | None) -> None:
        """Tell what failed until something else happens."""
        self._problem.display = problem is not None
        self._problem.update(plain(str(problem)) if problem is not None else "")

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring the progress and the queue up to date."""
        self._progress.show(snapshot)
        self._queue.update(_queue(snapshot))


def _queue(snapshot: Snapshot) -> str:
    waiting, running = snapshot.waiting, snapshot.running
    parts = []
    if running is not None and running.job.count > 1:
        parts.append(f"picture {min(running.saved + 1, running.job.count)} of {running.job.count}")
    if waiting:
        parts.append(f"{len(waiting)} waiting")
    if snapshot.engine.paused:
        parts.append("paused")
    if waiting and (waiting[0].job.prompt or running is None):
        parts.append(f"next: {plain(waiting[0].job.prompt) or 'no prompt'}")
    return " · ".join(parts)
