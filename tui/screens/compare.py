"""Two to four pictures, as large as the terminal allows, and the settings in which they differ."""

from pathlib import Path
from typing import Final

import msgspec
from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from tui.client import EngineClient
from tui.library.adapter_names import adapter_name
from tui.library.plain_text import plain
from tui.protocol.commands import GetJob
from tui.protocol.events import JobRecord
from tui.protocol.gallery import PictureInfo
from tui.protocol.job import Job
from tui.screens.engine_screen import EngineScreen
from tui.widgets.key_line import KeyLine
from tui.widgets.picture_view import PictureView

FIELDS: Final = (
    "prompt",
    "negative_prompt",
    "model",
    "mode",
    "steps",
    "guidance_scale",
    "scheduler",
    "seed",
    "size",
    "strength",
    "clip_skip",
    "vae",
    "adapters",
    "controls",
)
"""Of a job, in the order in which they are told."""

GAP: Final = " · "
INDENT: Final = 3
"""Cells before each line of a caption; the number of the picture stands in those of the first."""

LEAST: Final = 20
"""Cells that a caption is written for at least, before it is known how many there are."""

FROM_NOTHING: Final = frozenset({"txt2img", "outpaint"})
"""Modes that a strength has no effect in."""


def told_settings(job: Job, seed: int) -> dict[str, str]:
    """The settings of a picture by their name, as words."""
    found = {}
    for name in FIELDS:
        value = getattr(job, name, "")
        if name == "seed":
            value = seed
        elif name == "size":
            value = f"{job.width}×{job.height}"
        elif name == "strength" and job.mode in FROM_NOTHING:
            value = ""
        elif name == "adapters":
            value = ", ".join(f"{adapter_name(Path(one.path))} {one.weight:g}" for one in job.adapters)
        elif name == "controls":
            value = ", ".join(f"{one.model} {one.weight:g}" for one in job.controls)
        elif isinstance(value, float):
            value = f"{value:g}"
        found[name.replace("_", " ")] = str(value)
    return found


def differences(settings: list[dict[str, str]]) -> list[str]:
    """The names of the settings that are not the same in all of `settings`."""
    return [name for name in (settings[0] if settings else {}) if len({one.get(name) for one in settings}) > 1]


class CompareScreen(EngineScreen):
    """Pictures side by side, or one after another in the same place, where the eye finds any difference."""

    CSS_PATH = "compare.tcss"
    AUTO_FOCUS = ""
    ABOUT = "Two to four pictures, and the settings in which they differ."
    BINDINGS = [
        Binding("escape,q", "close", "Back", id="compare.close"),
        Binding("space,right,l", "flip(1)", "One at a time", id="compare.flip"),
        Binding("left,h", "flip(-1)", "Back one", show=False, id="compare.flip_back"),
        Binding("b", "beside", "Side by side", id="compare.beside"),
        Binding("s", "settings", "All settings", id="compare.settings", tooltip="All settings, or those that differ"),
    ]

    def __init__(self, client: EngineClient, pictures: list[PictureInfo]) -> None:
        super().__init__(client)
        self._pictures = pictures
        self._views = [PictureView(classes="picture") for _ in pictures]
        self._captions = [Static(classes="caption", markup=False) for _ in pictures]
        self._cells = [Vertical(view, text) for view, text in zip(self._views, self._captions, strict=True)]
        self._settings: list[dict[str, str]] = []
        self._all = False
        self._alone: int | None = None

    def compose(self) -> ComposeResult:
        """Two in a row, or two rows of two."""
        yield Container(*self._cells, id="pictures", classes=f"-of-{len(self._pictures)}")
        yield KeyLine()

    def on_mount(self) -> None:
        """Fetch once it is known how large they are shown."""
        self.call_after_refresh(self._fetch)

    def on_resize(self) -> None:
        """Captions are as wide as their pictures."""
        if self._settings:
            self.call_after_refresh(self._show_captions)

    @work(group="compare", exclusive=True)
    async def _fetch(self) -> None:
        if not self._settings:
            self._settings = [await self._ask_settings(info) for info in self._pictures]
            self._show_captions()
        for info, view, cell in zip(self._pictures, self._views, self._cells, strict=True):
            if cell.display:
                image = await self.fetch(info.picture.id, *view.pixels)
                if image is not None:
                    view.show(image)

    async def _ask_settings(self, info: PictureInfo) -> dict[str, str]:
        result = await self.result(GetJob(job_id=info.picture.job_id))
        if result is None:
            return {}
        job = msgspec.msgpack.decode(result, type=JobRecord).job
        return told_settings(job.picture(info.picture.index), info.picture.seed)

    def _show_captions(self) -> None:
        names = list(self._settings[0]) if self._all else differences(self._settings)
        for number, (settings, caption) in enumerate(zip(self._settings, self._captions, strict=True), 1):
            told = [(name, settings[name]) for name in names if settings.get(name)]
            room = max(caption.content_size.width, LEAST)
            caption.update(_caption(number, told or [("alike in all settings", "")], room))
        self._level()

    def _level(self) -> None:
        """Captions of one height, once it is known how high each is: pictures that are compared are equally large."""
        for caption in self._captions:
            caption.styles.min_height = None
        self.call_after_refresh(self._make_level)

    def _make_level(self) -> None:
        most = max((one.size.height for one in self._captions if one.display), default=0)
        for caption in self._captions:
            caption.styles.min_height = most

    # ---- keys --------------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        """Back to where one came from."""
        self.app.pop_screen()

    def action_flip(self, by: int) -> None:
        """Show one picture alone, then the next in its place."""
        self._show_alone(0 if self._alone is None else (self._alone + by) % len(self._pictures))

    def action_beside(self) -> None:
        """Show them side by side."""
        self._show_alone(None)

    def _show_alone(self, which: int | None) -> None:
        self._alone = which
        for number, cell in enumerate(self._cells):
            cell.display = which in (None, number)
        self.query_one("#pictures").set_class(which is not None, "-alone")
        self.call_after_refresh(self._show_captions)
        self.call_after_refresh(self._fetch)

    def action_settings(self) -> None:
        """Tell all settings, or those in which the pictures differ."""
        self._all = not self._all
        if self._settings:
            self._show_captions()


def _caption(number: int, told: list[tuple[str, str]], width: int) -> Content:
    """The number of a picture, and its settings, of which the values stand out; lines end between two of them."""
    parts: list[str | tuple[str, str]] = [(f"{number}", "$accent")]
    left = width - INDENT
    for place, (name, value) in enumerate(told):
        room = cell_len(f"{name} {plain(value)}")
        if place and room + len(GAP) > left:
            parts.append("\n")
            left = width - INDENT
        if left < width - INDENT:
            parts.append(GAP)
            left -= len(GAP)
        else:
            parts.append(" " * (INDENT if place else INDENT - 1))
        parts += [f"{name} ", (plain(value), "$foreground")]
        left -= room
    return Content.assemble(*parts)
