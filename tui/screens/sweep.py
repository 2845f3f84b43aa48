"""The sweep screen: a job drawn with every combination of some values, as a grid that fills."""

import asyncio
import io
import secrets
import time
from collections.abc import Iterable
from math import prod
from typing import Final

import msgspec
from PIL import Image
from textual import on, work
from textual.binding import Binding
from textual.events import ScreenResume
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui.client import EngineClient
from tui.library.durations import duration
from tui.library.paths import short_path
from tui.library.plain_text import plain
from tui.library.sweeps import HELP, LORA, NUMBERS, PROMPT, WORDS, read_axes
from tui.protocol.commands import Cancel, GetSweep, GetSweeps, MakeContactSheet, Retry, StartSweep
from tui.protocol.events import (
    ClientEvent,
    ImageSaved,
    JobCancelled,
    JobDone,
    JobFailed,
    JobInterrupted,
    JobQueued,
    JobRequeued,
    JobStarted,
    PicturesChanged,
)
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError
from tui.protocol.snapshot import Snapshot
from tui.protocol.sweep import Axis, Sweep, SweepCell, SweepState
from tui.screens.engine_screen import tell
from tui.screens.undo import UNDO_HELP, UndoingScreen
from tui.screens.viewer import ViewerScreen
from tui.widgets.ask_line import AskLine
from tui.widgets.picture_grid import WIDTHS, PictureGrid, Tile
from tui.widgets.progress_line import ProgressLine

MARKS: Final = {"running": "▶", "waiting": "·", "interrupted": "!", "failed": "✗", "cancelled": "–", "absent": "?"}
CHANGES: Final = (
    JobQueued,
    JobStarted,
    ImageSaved,
    JobDone,
    JobFailed,
    JobCancelled,
    JobInterrupted,
    JobRequeued,
    PicturesChanged,
)
"""Events after which a cell may be another."""

OPEN: Final = ("running", "waiting", "interrupted")
"""States of cells that are not drawn yet and will be."""

ON_SWEEP: Final = frozenset({"cancel", "retry", "sheet", "other"})
"""Actions on the sweep that is seen."""

CELLS_TIMED: Final = 8
"""Cells, the last ones, whose average tells how long the others take."""

AT_ONCE: Final = 4
"""Pictures that are fetched beside each other."""

EMPTY: Final = f"No sweep yet.\nn begins one with what the studio says, such as\n\n{HELP}"


class SweepScreen(UndoingScreen):
    """One sweep at a time: its axes, its grid, and the cell under the cursor."""

    CSS_PATH = "sweep.tcss"
    PLACE = "sweep"
    AUTO_FOCUS = "#grid"
    ABOUT = (
        "What the studio describes, drawn with every combination of the values of one to three parameters: "
        f"{', '.join([*NUMBERS, *WORDS, LORA])} (the weight of the first LoRA), or {PROMPT}, whose first value is "
        f"replaced by the others. Such as: {HELP}"
    )
    BINDINGS = [
        Binding("n", "begin", "New", id="sweep.begin", tooltip="Vary what the studio describes"),
        Binding("x", "cancel", "Cancel", id="sweep.cancel", tooltip="End every cell that is not drawn yet"),
        Binding("r", "retry", "Go on", id="sweep.retry", tooltip="Queue failed and cancelled cells again"),
        Binding("p", "sheet", "Sheet", id="sweep.sheet", tooltip="Write a contact sheet with all labels"),
        Binding("z", "undo", "Undo", id="sweep.undo", tooltip=UNDO_HELP),
        Binding("left_square_bracket", "other(1)", "Older", id="sweep.older"),
        Binding("right_square_bracket", "other(-1)", "Newer", id="sweep.newer"),
    ]

    class Begin(Message):
        """The user wants what the studio describes, varied along these axes."""

        def __init__(self, axes: list[Axis]) -> None:
            super().__init__()
            self.axes = axes

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._summary = Static(id="summary", markup=False)
        self._progress = ProgressLine(id="progress")
        self._grid = PictureGrid(id="grid", columns=1)
        self._details = Static(id="details", markup=False)
        self._line = AskLine(id="ask")
        self._ids: list[str] = []
        self._which = 0
        self._state: SweepState | None = None
        self._stale = True
        self._written = ""
        self._offered: set[str] = set()
        """What the line of keys offers to do with the sweep."""

    def compose_body(self) -> Iterable[Widget]:
        """Summary, how far it is, grid, details, and the line that asks."""
        yield self._summary
        yield self._progress
        yield self._grid
        yield self._details
        yield self._line

    def on_mount(self) -> None:
        """How to begin, until there is a sweep."""
        self._grid.tell(EMPTY)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What would do nothing to the sweep that is seen is dimmed."""
        return None if action in ON_SWEEP - self._useful else True

    @property
    def _useful(self) -> set[str]:
        """Of :data:`ON_SWEEP`, what would do something."""
        states = {cell.state for cell in self._state.cells} if self._state is not None else set()
        useful = {
            "cancel": states & {*OPEN},
            "retry": states & {"failed", "cancelled", "absent"},
            "sheet": states & {"done"},
            "other": self._ids[1:],
        }
        return {action for action, can in useful.items() if can}

    def will_show(self) -> None:
        """Text first."""
        self._grid.hold_back()

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Seen again."""
        self._grid.follow_up()

    # ---- what the engine tells ---------------------------------------------------------------------------------

    def show_state(self, snapshot: Snapshot) -> None:
        """Look again when something has changed."""
        super().show_state(snapshot)
        self._show_progress(snapshot)
        if self._stale:
            self._stale = False
            self._load()

    def engine_attached(self, snapshot: Snapshot) -> None:
        """It may be another engine."""
        self._stale = True

    def engine_event(self, event: ClientEvent, snapshot: Snapshot) -> None:
        """A job of this sweep may have changed."""
        if isinstance(event, CHANGES):
            self._stale = True

    @on(PictureGrid.Seen)
    def _seen(self) -> None:
        self._load()

    @work(group="sweep", exclusive=True)
    async def _load(self) -> None:
        result = await self.result(GetSweeps())
        if result is None:
            return
        self._ids = msgspec.msgpack.decode(result, type=list[str])
        if not self._ids:
            return
        self._which = min(self._which, len(self._ids) - 1)
        result = await self.result(GetSweep(sweep_id=self._ids[self._which]))
        if result is not None:
            self._state = msgspec.msgpack.decode(result, type=SweepState)
            self._show(self._state)
            await self._fetch_in_sight(self._state)

    def _show(self, state: SweepState) -> None:
        tiles = {
            place: Tile(cell.picture, " ".join(cell.labels), MARKS.get(cell.state, ""))
            for place, cell in enumerate(state.cells)
        }
        self._grid.show(len(tiles), tiles, columns=self._across(state.sweep.axes))
        done = sum(cell.state == "done" for cell in state.cells)
        parts = [_told_axes(state.sweep.axes), f"{done} of {len(state.cells)} drawn"]
        parts += [f"{count} failed"] if (count := sum(cell.state == "failed" for cell in state.cells)) else []
        parts += [f"sweep {self._which + 1} of {len(self._ids)}"] if len(self._ids) > 1 else []
        self._summary.update(plain(" · ".join(parts)))
        if self.client.snapshot is not None:
            self._show_progress(self.client.snapshot)
        self._show_details()
        if self._useful != self._offered:
            self._offered = self._useful
            self.refresh_bindings()

    def _show_progress(self, snapshot: Snapshot) -> None:
        """A bar, rate and time left, while there are cells to draw."""
        progress = sweep_progress(self._state, snapshot) if self._state is not None else None
        self._progress.display = progress is not None
        if progress is not None:
            self._progress.tell(*progress)

    def _across(self, axes: list[Axis]) -> int:
        """Tiles in a row: the values of the first axis; of three, those of the second beside them, where they fit."""
        first = len(axes[0].values)
        both = first * len(axes[1].values) if len(axes) == 3 else first
        return both if both * WIDTHS[0] <= self._grid.size.width else first

    async def _fetch_in_sight(self, state: SweepState) -> None:
        first, last = self._grid.in_sight
        keys = [cell.picture for cell in state.cells[first:last] if cell.picture]
        missing = [key for key in keys if not self._grid.has_image(key)]
        for start in range(0, len(missing), AT_ONCE):
            await asyncio.gather(*(self._fetch_one(key) for key in missing[start : start + AT_ONCE]))

    async def _fetch_one(self, key: int) -> None:
        edge = self._grid.pixels
        try:
            data = await self.client.fetch(key, edge, edge)
        except LatenttyError:
            return  # the place stays empty; opening the cell tells why
        await self._grid.bring(key, Image.open(io.BytesIO(data)))

    @property
    def _cell(self) -> SweepCell | None:
        cells = self._state.cells if self._state is not None else []
        return cells[self._grid.cursor] if self._grid.cursor < len(cells) else None

    @on(PictureGrid.Moved)
    def _show_details(self) -> None:
        cell, state = self._cell, self._state
        if cell is None or state is None:
            return
        told = " · ".join(f"{axis.name} {label}" for axis, label in zip(state.sweep.axes, cell.labels, strict=True))
        lines = [f"{told} · {cell.state}", state.sweep.base.prompt.replace("\n", " ") or "no prompt"]
        self._details.update(plain("\n".join(lines), keep_newlines=True))

    # ---- keys --------------------------------------------------------------------------------------------------

    def action_begin(self) -> None:
        """Ask what to vary."""
        self._line.ask("axes", "Vary", self._written, HELP)

    @on(AskLine.Typed)
    def _tell_axes(self, event: AskLine.Typed) -> None:
        """What the line means so far, or why it means nothing."""
        if event.purpose != "axes" or not event.value.strip():
            return
        try:
            axes = read_axes(event.value)
        except LatenttyError as error:
            told = str(error.problem)
        else:
            count = prod(len(axis.values) for axis in axes)
            told = f"{_told_axes(axes)} · {count} {'picture' if count == 1 else 'pictures'}"
        self._details.update(plain(told))

    @on(AskLine.Left)
    def _leave_line(self) -> None:
        self._details.update("")
        self._show_details()
        self._grid.focus()

    @on(AskLine.Answered)
    def _take_answer(self, event: AskLine.Answered) -> None:
        if event.purpose == "sheet":
            self._write_sheet(event.value.strip())
            return
        self._written = event.value
        try:
            self.post_message(self.Begin(read_axes(event.value)))
        except LatenttyError as error:
            tell(self.app, error.problem)

    @work(group="commands")
    async def begin(self, base: Job, axes: list[Axis]) -> None:
        """Start a sweep of `base`, and show it."""
        if await self.result(StartSweep(sweep=Sweep(id=secrets.token_hex(8), base=base, axes=axes))) is not None:
            self._which, self._grid.cursor = 0, 0
            self._load()

    def action_cancel(self) -> None:
        """End every cell that is not drawn yet."""
        cells = self._state.cells if self._state is not None else []
        ids = [cell.job_id for cell in cells if cell.state in OPEN]
        if ids:
            self._undo.add("The cells wait again.", *(Retry(job_id=one) for one in ids))
        for one in ids:
            self.ask(Cancel(job_id=one))

    @work(group="commands")
    async def action_retry(self) -> None:
        """Queue failed and cancelled cells again, and those that never came into the queue."""
        if self._state is None:
            return
        if any(cell.state == "absent" for cell in self._state.cells):
            await self.result(StartSweep(sweep=self._state.sweep))
        ids = [cell.job_id for cell in self._state.cells if cell.state in ("failed", "cancelled")]
        if ids:
            self._undo.add("The cells are cancelled.", *(Cancel(job_id=one) for one in ids))
        for one in ids:
            await self.result(Retry(job_id=one))

    def action_other(self, by: int) -> None:
        """Show the sweep before or after this one."""
        if 0 <= self._which + by < len(self._ids):
            self._which += by
            self._grid.cursor = 0
            self._load()

    @on(PictureGrid.Opened)
    def _open(self) -> None:
        cell, snapshot = self._cell, self.client.snapshot
        if cell is not None and cell.picture and snapshot is not None:
            self._open_picture(cell)

    @work(group="commands")
    async def _open_picture(self, cell: SweepCell) -> None:
        try:
            pictures = await self.client.pictures(cell.job_id)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return
        if pictures:
            self.will_show()  # when it is seen again
            self.app.push_screen(ViewerScreen(self.client, pictures))

    def action_sheet(self) -> None:
        """Ask where the contact sheet goes."""
        if self._state is not None:
            self._line.ask("sheet", "Contact sheet", time.strftime("~/sweep-%Y-%m-%d.png"), completes="file")

    @work(group="commands")
    async def _write_sheet(self, path: str) -> None:
        if self._state is None or not path:
            return
        sweep, cells = self._state.sweep, self._state.cells
        names = [axis.name for axis in sweep.axes]
        labels = [
            ", ".join(f"{name} {label}" for name, label in zip(names, cell.labels, strict=True)) for cell in cells
        ]
        command = MakeContactSheet(
            pictures=[cell.picture for cell in cells],
            path=path,
            columns=min(len(sweep.axes[0].values), 100),
            labels=labels,
            title=sweep.base.prompt,
        )
        result = await self.result(command)
        if result is not None:
            self.notify(f"Written: {plain(short_path(msgspec.msgpack.decode(result, type=str)))}", markup=False)


def sweep_progress(state: SweepState, snapshot: Snapshot) -> tuple[float, str] | None:
    """How far a sweep is, from 0 to 1, and how long it takes still; None while there is nothing to draw.

    Cells take as long as the last ones did, those of this sweep that the snapshot still knows.
    """
    states = [
        known.state if (known := snapshot.jobs.get(cell.job_id)) is not None else cell.state for cell in state.cells
    ]
    left = sum(one in OPEN for one in states)
    if not left:
        return None
    ids, step = {cell.job_id for cell in state.cells}, snapshot.step
    part = step.step / step.steps if step is not None and step.steps and step.job_id in ids else 0.0
    done = len(states) - left + part
    told = f"{sum(one == 'done' for one in states)}/{len(states)}"
    taken = [
        record.finished - record.started
        for record in snapshot.jobs.values()
        if record.job.id in ids and record.state == "done" and record.started is not None and record.finished
    ][-CELLS_TIMED:]
    if snapshot.engine.paused:
        told += "  paused: F4, Space goes on"
    elif taken:
        seconds = max(sum(taken) / len(taken), 0.01)
        told += f"  {60 / seconds:.0f} a minute" if seconds < 60 else f"  {duration(seconds)} each"
        told += f"  {duration((left - part) * seconds)} left"
    return done / len(states), told


def _told_axes(axes: list[Axis]) -> str:
    return " × ".join(f"{axis.name} ({len(axis.values)})" for axis in axes)
