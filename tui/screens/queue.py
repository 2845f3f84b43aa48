"""The queue screen: what runs, waits, failed and ended, and what to do with it."""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec
from rich.text import Text
from textual import on, work
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable

from tui.client import EngineClient
from tui.library.durations import duration
from tui.library.plain_text import plain, shortened
from tui.library.schedulers import SCHEDULERS
from tui.protocol.commands import Cancel, CancelAll, Pause, Reorder, Resume, Retry
from tui.protocol.events import JobRecord
from tui.protocol.job import Job
from tui.protocol.snapshot import Snapshot
from tui.screens.undo import UNDO_HELP, UndoingScreen, undo_key
from tui.widgets.row_table import RowTable
from tui.widgets.told import Told

COLUMNS: Final = {"state": "State", "pictures": "Pictures", "model": "Model", "when": "When", "prompt": "Prompt"}
STATE_WIDTH: Final = len("▶ running 100%")
MODEL_WIDTH: Final = 24
LEAST_PROMPT: Final = 12
"""Cells that the prompt gets at least; the details have all of it."""


def in_order(snapshot: Snapshot) -> list[JobRecord]:
    """What runs, then what waits in the order in which it will run, then what ended, the latest first."""
    running = [record for record in snapshot.jobs.values() if record.state == "running"]
    ended = [record for record in snapshot.jobs.values() if not record.open]
    return [*running, *snapshot.waiting, *sorted(ended, key=lambda record: record.finished or 0, reverse=True)]


class QueueScreen(UndoingScreen):
    """A table of jobs, and the details of the one under the cursor."""

    CSS_PATH = "queue.tcss"
    PLACE = "queue"
    AUTO_FOCUS = "#jobs"
    ABOUT = "What runs, waits and has ended. It is kept on the disk: jobs outlive this window and the engine."
    BINDINGS = [
        Binding("space", "pause", "Pause", id="queue.pause", tooltip="Start no further job, or start them again"),
        Binding("x", "cancel", "Cancel", id="queue.cancel", tooltip="End the job under the cursor"),
        Binding("X", "cancel_all", "Cancel all", id="queue.cancel_all", tooltip="End every job"),
        Binding("r", "retry", "Retry", id="queue.retry", tooltip="Queue the failed or cancelled job again"),
        Binding("R", "retry_failed", "Retry failed", show=False, id="queue.retry_failed"),
        Binding("e", "edit", "Edit", id="queue.edit", tooltip="Take it back into the studio, to change it"),
        Binding("K", "move(-1)", "Sooner", id="queue.sooner", tooltip="Move the waiting job up"),
        Binding("J", "move(1)", "Later", id="queue.later", tooltip="Move the waiting job down"),
        Binding("T", "move_first", "First", show=False, id="queue.first", tooltip="Run the waiting job next"),
        Binding("z", "undo", "Undo", id="queue.undo", tooltip=UNDO_HELP),
        Binding("j", "cursor(1)", "Down", show=False, id="queue.cursor_down"),
        Binding("k", "cursor(-1)", "Up", show=False, id="queue.cursor_up"),
    ]

    class Edit(Message):
        """The user wants to change a job and submit it anew."""

        def __init__(self, job: Job) -> None:
            super().__init__()
            self.job = job

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._records: list[JobRecord] = []
        self._offered_for: tuple[JobRecord | None, bool] | None = None
        """The job for which keys are offered, and whether any can be cancelled."""
        self._summary = Told(id="summary", markup=False)
        self._table = RowTable(id="jobs", cursor_type="row")
        self._details = Told(id="details", markup=False)

    def compose_body(self) -> Iterable[Widget]:
        """Summary, table, details."""
        yield self._summary
        yield self._table
        yield self._details

    def on_mount(self) -> None:
        """The columns."""
        for key, label in COLUMNS.items():
            self._table.add_column(label, key=key, width=STATE_WIDTH if key == "state" else None)

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring the lines up to date; the cursor stays on its job, or at the top."""
        super().show_state(snapshot)
        self._summary.update(_summary(snapshot))
        records, before = in_order(snapshot), self._records
        under, at_top = self._under_cursor, self._table.cursor_row == 0
        self._records = records
        step = snapshot.step
        fraction = step.step / step.steps if step and step.steps else 0
        cells = {record.job.id: _cells(record, fraction, self.app.theme_variables) for record in records}
        _fit(cells.values(), self.app.size.width)
        if [record.job.id for record in records] == [record.job.id for record in before]:
            for job_id, texts in cells.items():
                for column, text in zip(COLUMNS, texts, strict=True):
                    shown = self._table.get_cell(job_id, column)
                    if (shown, shown.style) == (text, text.style):
                        continue
                    if column == "state":
                        self._table.change(job_id, column, text)
                    else:
                        self._table.update_cell(job_id, column, text, update_width=True)
        else:
            self._table.clear()
            for job_id, texts in cells.items():
                self._table.add_row(*texts, key=job_id)
            if under is not None and under.job.id in cells and not at_top:
                self._table.move_cursor(row=list(cells).index(under.job.id))
        self._show_details()

    def on_resize(self) -> None:
        """Prompts get what room there is."""
        if self.client.snapshot is not None and self._table.columns:
            self.show_state(self.client.snapshot)

    @property
    def _under_cursor(self) -> JobRecord | None:
        place = self._table.cursor_row
        return self._records[place] if 0 <= place < len(self._records) else None

    @on(DataTable.RowHighlighted)
    def _show_details(self) -> None:
        record = self._under_cursor
        about = (record, any(one.open for one in self._records))
        if about != self._offered_for:
            self._offered_for = about
            self.refresh_bindings()
        self._details.update(_details(record) if record else "No jobs yet. F2 leads to the studio.")

    # ---- keys --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What would do nothing to the job under the cursor is dimmed."""
        record = self._under_cursor
        if action in ("move", "move_first"):
            return True if record is not None and record.state == "waiting" else None
        if action == "cancel":
            return True if record is not None and record.open else None
        if action == "cancel_all":
            return True if any(one.open for one in self._records) else None
        if action == "retry":
            return True if record is not None and record.state in ("failed", "cancelled") else None
        if action == "edit":
            return True if record is not None else None
        return True

    def action_pause(self) -> None:
        """Start no further job, or start them again."""
        if self.client.snapshot is not None:
            self.ask(Resume() if self.client.snapshot.engine.paused else Pause())

    def action_cancel(self) -> None:
        """End the job under the cursor."""
        record = self._under_cursor
        if record is not None and record.open:
            waiting = [one.job.id for one in self._records if one.state == "waiting"]
            after = waiting[waiting.index(record.job.id) + 1 :] if record.job.id in waiting else []
            back = [Reorder(job_id=record.job.id, before=one) for one in after[:1]]
            self._undo.add("The job waits again.", Retry(job_id=record.job.id), *back)
            self.ask(Cancel(job_id=record.job.id))

    @work(group="commands")
    async def action_cancel_all(self) -> None:
        """End every job."""
        result = await self.result(CancelAll())
        ids = msgspec.msgpack.decode(result, type=list[str]) if result is not None else []
        if ids:
            self._undo.add(f"{_count(len(ids))} again.", *(Retry(job_id=one) for one in ids))
            self.notify(f"{len(ids)} cancelled. {undo_key(self.app, 'queue.undo')} takes it back.")

    def action_retry(self) -> None:
        """Queue the job under the cursor again."""
        record = self._under_cursor
        if record is not None and record.state in ("failed", "cancelled"):
            self._undo.add("The job is cancelled.", Cancel(job_id=record.job.id))
            self.ask(Retry(job_id=record.job.id))

    def action_retry_failed(self) -> None:
        """Queue every failed job again."""
        failed = [record.job.id for record in self._records if record.state == "failed"]
        if failed:
            self._undo.add(f"{len(failed)} cancelled.", *(Cancel(job_id=one) for one in failed))
        for one in failed:
            self.ask(Retry(job_id=one))

    def action_edit(self) -> None:
        """Take the job under the cursor into the studio; one that waits does so no longer."""
        record = self._under_cursor
        if record is None:
            return
        if record.open and record.state != "running":
            self.action_cancel()
        self.post_message(self.Edit(record.job))

    def action_move(self, by: int) -> None:
        """Move the waiting job under the cursor, up or down."""
        waiting = [record.job.id for record in self._records if record.state == "waiting"]
        place = self._waiting_place(waiting)
        if place is not None and 0 <= place + by < len(waiting):
            self._move(waiting, place, place - 1 if by < 0 else place + 2)

    def action_move_first(self) -> None:
        """Run the waiting job under the cursor next."""
        waiting = [record.job.id for record in self._records if record.state == "waiting"]
        place = self._waiting_place(waiting)
        if place:
            self._move(waiting, place, 0)

    def _waiting_place(self, waiting: list[str]) -> int | None:
        record = self._under_cursor
        return waiting.index(record.job.id) if record is not None and record.job.id in waiting else None

    def _move(self, waiting: list[str], place: int, before: int) -> None:
        """Move the waiting job at `place` right before the one at `before`."""
        job_id, back = waiting[place], waiting[place + 1 : place + 2]
        self._undo.add("The job is back in its place.", Reorder(job_id=job_id, before=back[0] if back else ""))
        self.ask(Reorder(job_id=job_id, before=waiting[before] if before < len(waiting) else ""))

    def action_cursor(self, by: int) -> None:
        """Move the cursor by lines."""
        self._table.move_cursor(row=self._table.cursor_row + by)


def _count(jobs: int) -> str:
    return "1 job waits" if jobs == 1 else f"{jobs} jobs wait"


def _summary(snapshot: Snapshot) -> str:
    """One line on the whole queue."""
    waiting = len(snapshot.waiting)
    parts = ["paused: Space goes on" if snapshot.engine.paused else "", "1 running" if snapshot.running else ""]
    parts += [f"{waiting} waiting" if waiting else "nothing waits"]
    for state in ("failed", "cancelled", "done"):
        count = sum(record.state == state for record in snapshot.jobs.values())
        parts.append(f"{count} {state}" if count else "")
    if snapshot.engine.hold is not None:
        parts.append(f"held: {snapshot.engine.hold}")
    return plain(" · ".join(part for part in parts if part))


def _cells(record: JobRecord, fraction: float, colours: Mapping[str, str]) -> list[Text]:
    """A line: what has ended recedes, and the state tells in the theme's `colours` what runs and what failed."""
    job = record.job
    mark = {"running": "▶", "waiting": "·", "interrupted": "!", "done": "✓", "failed": "✗", "cancelled": "–"}[
        record.state
    ]
    progress = f" {fraction:.0%}" if record.state == "running" else ""
    when = record.finished or record.started or record.submitted
    style = {"cancelled": "dim", "done": "dim"}.get(record.state, "")
    striking = {"running": colours["accent"], "failed": f"bold {colours['error']}"}.get(record.state, style)
    texts = (
        f"{mark} {record.state}{progress}",
        f"{record.saved}/{job.count}",
        shortened(plain(job.model), MODEL_WIDTH),
        _clock(when),
        job.prompt_template or job.prompt or "no prompt",
    )
    return [Text(plain(text), striking if place == 0 else style) for place, text in enumerate(texts)]


def _fit(lines: Collection[list[Text]], width: int) -> None:
    """Cut the prompts to what a table `width` cells wide leaves them."""
    names = list(COLUMNS.values())[1:-1]
    wide = [max([len(name), *(line[place].cell_len for line in lines)]) for place, name in enumerate(names, 1)]
    room = width - STATE_WIDTH - sum(wide) - 2 * len(COLUMNS) - 1
    for line in lines:
        line[-1].truncate(max(room, LEAST_PROMPT), overflow="ellipsis")


def _clock(when: float) -> str:
    told = time.localtime(when)
    today = told[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if today else "%m-%d %H:%M", told)


def _details(record: JobRecord) -> Content:
    """What failed and what to do, what had to be done, and the job itself."""
    job = record.job
    problem = f"{record.problem}\n" if record.problem is not None else ""
    scheduler = SCHEDULERS[job.scheduler].label if job.scheduler in SCHEDULERS else job.scheduler
    lines = [*record.notes]
    lines.append(job.prompt_template or job.prompt or "no prompt")
    lines.append(
        f"{job.mode} · {job.width}×{job.height} · {job.steps} steps · guidance {job.guidance_scale:g} · {scheduler}"
        f" · seed {job.seed}"
    )
    times = [f"submitted {_clock(record.submitted)}"]
    if record.started is not None:
        times.append(f"started {_clock(record.started)}")
    if record.finished is not None:
        times.append(f"ended {_clock(record.finished)}")
        if record.started is not None and record.saved:
            took = record.finished - record.started
            times.append(f"took {took:.1f} s" if took < 10 else f"took {duration(took)}")
    if record.attempts > 1:
        times.append(f"{record.attempts} attempts")
    about = "\n".join([*lines, " · ".join(times)])
    return Content.assemble((plain(problem, keep_newlines=True), "$error"), plain(about, keep_newlines=True))
