"""The preview pane: the picture as it forms, how far it is, what waits, and the last ones made."""

from typing import Final

from PIL import Image
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical

from tui.library.durations import duration
from tui.library.plain_text import plain, shortened
from tui.protocol.problem import Problem
from tui.protocol.snapshot import Snapshot
from tui.widgets.picture_strip import PictureStrip
from tui.widgets.picture_view import PictureView
from tui.widgets.progress_line import ProgressLine
from tui.widgets.told import Told

LEAST_NAME: Final = 16
"""Cells in which a file's name is told at least, or it is left out."""

COUNT_HELP: Final = "How many pictures the next key makes"


class PreviewPane(Vertical, can_focus=True):
    """Shows pictures. With the focus, single letters say what to do with the one that is shown."""

    BINDINGS = [
        Binding("left,h", "screen.select(-1)", "Newer", show=False, id="picture.newer"),
        Binding("right,l", "screen.select(1)", "Older", show=False, id="picture.older"),
        Binding("g", "screen.generate", "Generate", show=False, id="generate.here", tooltip="8 g makes eight pictures"),
        Binding("n", "screen.again", "New seed", show=False, id="again.here"),
        Binding("v", "screen.variations", "Vary", id="picture.vary", tooltip="Four like it, with other seeds"),
        Binding("i", "screen.send('img2img')", "img2img", id="send.img2img", tooltip="Begin with this picture"),
        Binding("m", "screen.send('inpaint')", "Inpaint", id="send.inpaint", tooltip="Draw a part of it anew"),
        Binding("o", "screen.send('outpaint')", "Outpaint", show=False, id="send.outpaint", tooltip="Grow its edges"),
        Binding("c", "screen.send('control')", "Control", id="send.control", tooltip="Hold a picture to its lines"),
        Binding("r", "screen.recall", "Recall", id="picture.recall", tooltip="Take all its settings"),
        Binding("k", "screen.keep_seed", "Keep seed", show=False, id="picture.keep_seed", tooltip="Lock its seed"),
        Binding("f", "screen.favourite", "Favourite", show=False, id="picture.favourite", tooltip="Or no longer"),
        Binding("d,delete", "screen.trash", "Delete", show=False, id="picture.trash", tooltip="To the trash"),
        Binding("z", "screen.undo", "Undo", show=False, id="picture.undo", tooltip="Of what was deleted or cancelled"),
        Binding("y", "screen.copy", "Copy path", show=False, id="picture.copy"),
        Binding("escape,p", "screen.focus_prompt", "Prompt", show=False, id="prompt.begin"),
        Binding("s", "screen.focus_settings", "Settings", show=False, id="settings.begin"),
        *(
            Binding(str(digit), f"screen.count({digit})", "Count", show=False, id=f"count.{digit}", tooltip=COUNT_HELP)
            for digit in range(10)
        ),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.border_title = "Preview"
        self._picture = PictureView(empty="The picture forms here.", id="picture")
        self._problem = Told(id="problem", markup=False)
        self._progress = ProgressLine(id="progress")
        self._recent = PictureStrip(id="recent")
        self._queue = Told(id="queue", markup=False)
        self._caption = Told(id="caption", markup=False)
        self._captioned = ("", "")
        self._reading = False

    def compose(self) -> ComposeResult:
        """Picture, progress, recent pictures, queue."""
        yield from (self._picture, self._caption, self._problem, self._progress, self._recent, self._queue)

    def show_picture(self, image: Image.Image | None, *, live: bool = False) -> None:
        """Show `image`, or nothing; `live` while it still forms."""
        self._picture.show(image, live=live)

    def show_caption(self, text: str, name: str = "") -> None:
        """A line about the picture that is shown, with the name of its file as far as there is room."""
        self._captioned = plain(text), plain(name)
        self._fit_caption()

    def on_resize(self) -> None:
        """There is another room for the name."""
        self._fit_caption()

    def _fit_caption(self) -> None:
        text, name = self._captioned
        room = self._caption.size.width - cell_len(f"{text} · ")
        self._caption.update(f"{text} · {shortened(name, room)}" if name and room >= LEAST_NAME else text)

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

    def show_reading(self, name: str, done: int = 0, total: int = 0, seconds: float = 0) -> None:
        """Show how far a picture has come that is wanted next, instead of what the engine does."""
        self._reading = True
        self._progress.show_read(plain(name), done, total, seconds)

    def show_read(self) -> None:
        """It is there, or will not come."""
        if self._reading:
            self._reading = False
            self._progress.tell(None)

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring the progress and the queue up to date."""
        if not self._reading:
            self._progress.show(snapshot)
        self._queue.update(_queue(snapshot))


def _queue(snapshot: Snapshot) -> str:
    waiting, running = snapshot.waiting, snapshot.running
    parts = []
    if running is not None and running.job.count > 1:
        parts.append(f"picture {min(running.saved + 1, running.job.count)} of {running.job.count}")
        if (step := snapshot.step) is not None and step.step_seconds:
            steps = step.steps * (running.job.count - running.saved) - step.step
            parts.append(f"{duration(max(steps, 0) * step.step_seconds)} left")
    if waiting:
        parts.append(f"{len(waiting)} waiting")
    if snapshot.engine.paused:
        parts.append("paused")
    if waiting and (waiting[0].job.prompt or running is None):
        parts.append(f"next: {plain(waiting[0].job.prompt) or 'no prompt'}")
    return " · ".join(parts)
