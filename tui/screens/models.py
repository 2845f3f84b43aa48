"""The models screen: what was found, what of it is in memory, and what to do with it."""

import os
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct
from rich.cells import cell_len
from rich.text import Text
from textual import on, work
from textual.binding import Binding
from textual.events import ScreenResume
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Input

from tui.client import EngineClient
from tui.library.families import FAMILIES
from tui.library.hub_environment import told
from tui.library.kinds import counted, named
from tui.library.models import BUNDLED
from tui.library.paths import short_path
from tui.library.plain_text import plain, shortened
from tui.protocol.commands import (
    CancelDownload,
    CancelScan,
    EnsureControlNet,
    GetLibrary,
    LoadModel,
    PinModel,
    ReleaseControlNet,
    Rescan,
    SetAutoload,
    StartDownload,
    UnloadModel,
)
from tui.protocol.download import DownloadState
from tui.protocol.events import ClientEvent, ControlNetInfo, LibraryScan, ModelInfo, ResidentComponent
from tui.protocol.library import LibraryPage, ModelFile
from tui.protocol.snapshot import Snapshot
from tui.screens.download_rows import details, name_of, progress, short_progress
from tui.screens.engine_screen import EngineScreen
from tui.widgets.row_table import RowTable
from tui.widgets.told import Told

PAGE: Final = 1000
"""Files that are asked for at a time."""

LINES: Final = 1000
"""Lines that the table begins with, and that it gets more of when the cursor comes to the last one."""

GET_HINT: Final = "hf:org/name, hf:org/name:file.safetensors, civitai:12345 or https://…"

COMES: Final = "comes with Latentty; its licences lie beside it"

NO_USE: Final = "no use"
"""Where something is that cannot be used; its details tell why."""

LEAST_NAME: Final = 16
"""Cells that a name gets at least."""

MANY: Final = 20
"""Lines that are changed one by one: for each, the table measures a whole column; of more, it is filled anew."""

COLUMNS: Final = {"name": "Name", "kind": "Kind", "size": "Size", "where": "Where", "kept": "Kept"}


class ModelRow(Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    kind: str
    """"model", "ControlNet", or what kind of file it is."""
    family: str
    bytes: int
    where: str
    """Such as "disk", "cuda:0 6.9 GB" or "loading 61 %"."""
    kept: str
    details: str
    path: str = ""
    """Of a file; of a download its id."""
    words: str = ""
    """The trigger words of a file."""

    @property
    def key(self) -> str:
        """Of the line: a model and a ControlNet may have the same name."""
        return f"{self.kind}/{self.path or self.name}"


def model_rows(snapshot: Snapshot, files: Iterable[ModelFile]) -> list[ModelRow]:
    """Downloads, then everything that was found: models, ControlNets, `files` that are neither; last what is no use."""
    listed = {model.path for model in snapshot.models} | {net.path for net in snapshot.controlnets}
    found = [
        *(_model_row(model, snapshot) for model in snapshot.models),
        *(_controlnet_row(net, snapshot) for net in snapshot.controlnets),
        *(_file_row(file) for file in files if file.path not in listed),
    ]
    found.sort(key=lambda row: row.where == NO_USE)
    return [*(_download_row(state) for state in reversed(snapshot.downloads.values())), *found]


def _download_row(state: DownloadState) -> ModelRow:
    return ModelRow(
        name=name_of(state),
        kind="download",
        family="",
        bytes=state.total_bytes or state.done_bytes,
        where=short_progress(state),
        kept="",
        details=details(state),
        path=state.id,
    )


def _file_row(file: ModelFile) -> ModelRow:
    family = FAMILIES.get(file.family)
    facts = {
        "for": BUNDLED if file.bundled else family.label if family is not None else file.base,
        "words": ", ".join(file.trigger_words),
        "by": file.author,
        "licence": file.license,
        "weights": f"{file.parameters:,} in {file.precision}" if file.parameters else "",
        "hash": file.short_hash,
    }
    about = " · ".join(f"{name} {value}" for name, value in facts.items() if value)
    problem = str(file.problem) if file.problem is not None else ""
    return ModelRow(
        name=file.name,
        kind=file.kind,
        family=family.label if family is not None else "",
        bytes=file.bytes,
        where=NO_USE if file.problem is not None else "disk",
        kept="",
        details="\n".join(line for line in (file.path, about, problem, COMES if file.bundled else "") if line),
        path=file.path,
        words=facts["words"],
    )


def _model_row(model: ModelInfo, snapshot: Snapshot) -> ModelRow:
    family = FAMILIES.get(model.family)
    kept = [
        word
        for word, true in (
            ("pinned", model.name in snapshot.kept.pinned),
            ("autoload", model.name == snapshot.kept.autoload),
        )
        if true
    ]
    return ModelRow(
        name=model.name,
        kind="model",
        family=family.label if family is not None else "",
        bytes=model.bytes,
        where=NO_USE if model.problem is not None else _where(model.name, snapshot),
        kept=" ".join(kept),
        details=_about_model(model),
    )


def _about_model(model: ModelInfo) -> str:
    if model.problem is not None:
        return str(model.problem)
    lines = [
        f"{model.path}",
        f"draws {', '.join(model.modes)} at {model.width}×{model.height}, in steps of {model.size_multiple} px",
    ]
    if model.controls:
        lines.append(f"ControlNets: {', '.join(model.controls)}")
    if model.bundled:
        lines.append(COMES)
    return "\n".join(lines)


def _controlnet_row(net: ControlNetInfo, snapshot: Snapshot) -> ModelRow:
    state = snapshot.control_states.get(net.name)
    fits = [model.name for model in snapshot.models if net.name in model.controls]
    problem = net.problem or (state.problem if state is not None else None)
    about = [net.path, f"fits {', '.join(fits) or 'no model that was found'}", COMES if net.bundled else ""]
    return ModelRow(
        name=net.name,
        kind="ControlNet",
        family=net.class_name.removesuffix("Model"),
        bytes=net.bytes,
        where=NO_USE if net.problem is not None else _where(net.name, snapshot),
        kept="wanted" if state is not None and state.phase != "absent" else "",
        details=str(problem) if problem is not None else "\n".join(line for line in about if line),
    )


def _where(name: str, snapshot: Snapshot) -> str:
    """Where the weights are now."""
    loading = snapshot.loading
    if loading is not None and loading.model == name:
        return f"loading {100 * loading.done_bytes // max(loading.total_bytes, 1)} %"
    components = snapshot.residency.components if snapshot.residency is not None else []
    there = [one for one in components if name in one.model.split(", ") and one.device != "disk"]
    return _place(there) if there else "disk"


def _place(components: list[ResidentComponent]) -> str:
    devices = sorted({one.device for one in components})
    return f"{'+'.join(devices)} {size_of(sum(one.bytes for one in components))}"


def size_of(count: int) -> str:
    """So many bytes, such as "544 B", "39 MB" or "6.9 GB"."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    return f"{size:.1f} {unit}" if 0 < size < 9.95 and unit != "B" else f"{size:,.0f} {unit}"


class ModelsScreen(EngineScreen):
    """A table, a filter, and the details of the line under the cursor."""

    CSS_PATH = "models.tcss"
    PLACE = "models"
    AUTO_FOCUS = "#models"
    ABOUT = "Every model that was found, and where its weights are now. Files stay in their folders; F7 names folders."
    BINDINGS = [
        Binding("enter", "use", "Use", id="models.use", tooltip="Draw with this model in the studio"),
        Binding("slash", "filter", "Filter", id="models.filter", tooltip="Show what has some words in its name"),
        Binding("g", "get", "Get", id="models.get", tooltip="Fetch a model from a hub or an address"),
        Binding("l", "load", "Load", id="models.load", tooltip="Bring it to the device now"),
        Binding("u", "unload", "Unload", id="models.unload", tooltip="Free its memory"),
        Binding("p", "pin", "Pin", id="models.pin", tooltip="Keep it on the device, or no longer"),
        Binding("a", "autoload", "Autoload", id="models.autoload", tooltip="Load it when the engine starts, or not"),
        Binding("r", "rescan", "Rescan", id="models.rescan", tooltip="Look through the model folders again"),
        Binding("x", "stop", "Stop", id="models.stop", tooltip="Stop a download, or take it from the list"),
        Binding("escape", "leave_filter", "Back to the table", show=False, id="models.leave_filter"),
        Binding("j", "cursor(1)", "Down", show=False, id="models.down"),
        Binding("k", "cursor(-1)", "Up", show=False, id="models.up"),
    ]

    class Use(Message):
        """The user wants to draw with this model."""

        def __init__(self, model: str) -> None:
            super().__init__()
            self.model = model

    class UseFile(Message):
        """The user wants to draw with this LoRA or embedding."""

        def __init__(self, file: ModelFile) -> None:
            super().__init__()
            self.file = file

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._rows: dict[str, ModelRow] = {}
        self._name_room = 0
        """Cells for a name in the table's first column."""
        self._go_to = ""
        """The line that the cursor is to be on when it comes."""
        self._most = LINES
        self._left = 0
        """Lines that are not in the table yet."""
        self._files: list[ModelFile] = []
        self._goes_to = ""
        """The folder of the next download."""
        self._scan = Told(id="scan", markup=False)
        self._table: DataTable[Text] = RowTable(id="models", cursor_type="row", zebra_stripes=False)
        self._filter = Input(id="filter", placeholder="words of a name, kind, family or trigger", compact=True)
        self._source = Input(id="source", placeholder=GET_HINT, compact=True)
        self._details = Told(id="details", markup=False)

    def compose_body(self) -> Iterable[Widget]:
        """Filter, what to fetch, table, details."""
        yield self._filter
        yield self._source
        yield self._table
        yield self._scan
        yield self._details

    def on_mount(self) -> None:
        """The columns, and a cursor that does not blink."""
        self._filter.cursor_blink = False
        self._source.cursor_blink = False
        self._filter.display = self._source.display = False
        for key, label in COLUMNS.items():
            self._table.add_column(label, key=key)

    def show_state(self, snapshot: Snapshot) -> None:
        """Bring the lines up to date; the cursor stays on its line."""
        super().show_state(snapshot)
        words = self._filter.value.lower().split()
        fitting = [row for row in model_rows(snapshot, self._files) if _matches(row, words)]
        found = {row.key: row for row in fitting[: self._most]}
        self._show_rows(found)
        self._left = len(fitting) - len(found)
        more = f"{self._left:,} more below; / finds by a part of a name"
        self._scan.update(more if self._left and not _has_news(snapshot) else _scan(snapshot))
        self._show_details()

    def _show_rows(self, found: dict[str, ModelRow]) -> None:
        """Change only those lines that are others; all of them where names get another width."""
        room = _room(found.values(), self.app.size.width)
        same = room == self._name_room and list(found)[: len(self._rows)] == list(self._rows)
        others = [key for key, row in self._rows.items() if row != found[key]] if same else []
        changed = [key for key in others if _texts(self._rows[key]) != _texts(found[key])]
        if same and len(changed) <= MANY:
            for key, row in found.items():
                if key not in self._rows:
                    self._table.add_row(*_cells(row, room).values(), key=key)
            for key in changed:
                before = _texts(self._rows[key])
                for column, text in _cells(found[key], room).items():
                    if before[column] != _texts(found[key])[column]:
                        self._table.update_cell(key, column, text, update_width=True)
        else:
            under = self._under_cursor
            self._table.clear()
            for held in self._table.columns.values():
                held.content_width = cell_len(held.label.plain)  # it would stay as wide as it ever was
            for key, row in found.items():
                self._table.add_row(*_cells(row, room).values(), key=key)
            if under is not None and under.key in found:
                self._table.move_cursor(row=list(found).index(under.key))
        self._rows, self._name_room = found, room
        if self._go_to in found:
            self._table.move_cursor(row=list(found).index(self._go_to))
            self._go_to = ""

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Seen again: what lies in the folders may be different now."""
        self._fetch_files()

    def engine_event(self, event: ClientEvent, snapshot: Snapshot) -> None:
        """The folders were looked through."""
        if isinstance(event, LibraryScan) and not event.running and self.is_current:
            self._fetch_files()

    @work(group="files", exclusive=True)
    async def _fetch_files(self) -> None:
        files: list[ModelFile] = []
        while (result := await self.result(GetLibrary(offset=len(files), limit=PAGE))) is not None:
            page = msgspec.msgpack.decode(result, type=LibraryPage)
            files += page.files
            if len(files) >= page.total or not page.files:
                self._files = files
                self._look()
                return

    @property
    def _under_cursor(self) -> ModelRow | None:
        rows = list(self._rows.values())
        place = self._table.cursor_row
        return rows[place] if 0 <= place < len(rows) else None

    @on(DataTable.RowHighlighted)
    def _go_further(self) -> None:
        """Show more lines when the last one is reached."""
        if self._left and self._table.cursor_row == len(self._rows) - 1:
            self._most += LINES
            self._look()
        self._show_details()

    def _show_details(self) -> None:
        row = self._under_cursor
        if self._source.display:
            self._details.update(plain(f"It goes to {self._goes_to}, with its licence told. F7 names other folders."))
            return
        self._details.update(plain(row.details, keep_newlines=True) if row is not None else "Nothing is called so.")

    # ---- keys --------------------------------------------------------------------------------------------------

    @on(DataTable.RowSelected)
    def action_use(self) -> None:
        """Draw with the model under the cursor; go on with a download that was stopped."""
        row = self._under_cursor
        if row is not None and row.kind == "download":
            self._go_on(row.path)
            return
        if row is not None and row.kind == "model":
            self.post_message(self.Use(row.name))
        elif row is not None and row.kind in ("lora", "embedding"):
            self.post_message(self.UseFile(next(file for file in self._files if file.path == row.path)))
        elif row is not None:
            self.notify(USED_ELSEWHERE.get(row.kind, "Latentty finds such files but cannot draw with them."))

    def action_load(self) -> None:
        """Bring what is under the cursor to the device."""
        row = self._under_cursor
        if row is not None and row.kind in ("model", "ControlNet"):
            self.ask(LoadModel(model=row.name) if row.kind == "model" else EnsureControlNet(controlnet=row.name))

    def action_unload(self) -> None:
        """Free the memory of what is under the cursor."""
        row = self._under_cursor
        if row is not None and row.kind in ("model", "ControlNet"):
            self.ask(UnloadModel(model=row.name) if row.kind == "model" else ReleaseControlNet(controlnet=row.name))

    def action_pin(self) -> None:
        """Keep the model under the cursor on the device, or no longer."""
        row, snapshot = self._under_cursor, self.client.snapshot
        if row is not None and snapshot is not None and row.kind == "model":
            self.ask(PinModel(model=row.name, pinned=row.name not in snapshot.kept.pinned))

    def action_autoload(self) -> None:
        """Load the model under the cursor at every start, or the one used last again."""
        row, snapshot = self._under_cursor, self.client.snapshot
        if row is not None and snapshot is not None and row.kind == "model":
            self.ask(SetAutoload(model="" if row.name == snapshot.kept.autoload else row.name))

    def action_rescan(self) -> None:
        """Look through the folders again, or stop looking."""
        snapshot = self.client.snapshot
        running = snapshot is not None and snapshot.library is not None and snapshot.library.running
        self.ask(CancelScan() if running else Rescan())

    def action_get(self) -> None:
        """Type what to fetch; where it goes is told below."""
        folders = self.client.snapshot.settings["model_folders"] if self.client.snapshot is not None else ""
        self._goes_to = folders.partition(", ")[0] or short_path(self.client.paths.models)
        self._source.display = True
        self._source.focus()
        self._show_details()

    @on(Input.Submitted, "#source")
    def _get(self) -> None:
        source = self._source.value.strip()
        self.action_leave_filter()
        if source:
            self._start(StartDownload(source=source, environment=told(os.environ)))

    @work
    async def _start(self, command: StartDownload) -> None:
        """Begin the download, and have the cursor on its line, where x stops it."""
        if (result := await self.result(command)) is not None:
            state = msgspec.msgpack.decode(result, type=DownloadState)
            self._go_to = f"download/{state.id}"
            self._look()

    def action_stop(self) -> None:
        """Stop the download under the cursor, else the newest that runs; one at its end leaves the list."""
        row, snapshot = self._under_cursor, self.client.snapshot
        if row is not None and row.kind == "download":
            self.ask(CancelDownload(id=row.path))
        elif snapshot is not None:
            running = [state.id for state in snapshot.downloads.values() if state.open]
            for number in running[-1:]:
                self.ask(CancelDownload(id=number))

    def _go_on(self, number: str) -> None:
        snapshot = self.client.snapshot
        state = snapshot.downloads.get(number) if snapshot is not None else None
        if state is not None and not state.open:
            self._start(StartDownload(source=state.source, folder=state.folder, environment=told(os.environ)))

    def action_filter(self) -> None:
        """Type what to look for."""
        self._filter.display = True
        self._filter.focus()

    def action_leave_filter(self) -> None:
        """Back to the table, with all of it."""
        self._filter.value = self._source.value = ""
        self._filter.display = self._source.display = False
        self._show_details()
        self._table.focus()

    @on(Input.Submitted, "#filter")
    def _keep_filter(self) -> None:
        self._table.focus()

    @on(Input.Changed, "#filter")
    def _look_for(self) -> None:
        self._most = LINES
        self._look()

    def _look(self) -> None:
        if self.client.snapshot is not None:
            self.show_state(self.client.snapshot)

    def action_cursor(self, by: int) -> None:
        """Move the cursor by lines."""
        self._table.move_cursor(row=self._table.cursor_row + by)


USED_ELSEWHERE: Final = {
    "ControlNet": "A ControlNet is chosen among the studio's settings.",
    "vae": "A VAE is chosen among the studio's settings.",
}
"""How to draw with what is no model, by kind."""


def _is_at_work(snapshot: Snapshot) -> bool:
    searching = snapshot.library is not None and snapshot.library.running
    return searching or any(state.open for state in snapshot.downloads.values())


def _has_news(snapshot: Snapshot) -> bool:
    scan = snapshot.library
    return _is_at_work(snapshot) or (scan is not None and (scan.cancelled or bool(scan.out_of_reach)))


def _scan(snapshot: Snapshot) -> str:
    """How far downloads are, else how far the search of the folders is."""
    running = [state for state in snapshot.downloads.values() if state.open]
    if running:
        more = f"  and {len(running) - 1} more" if len(running) > 1 else ""
        return f"{shortened(plain(name_of(running[0])), 24)}  {progress(running[0])}{more}   (x stops)"
    scan = snapshot.library
    if scan is None:
        return ""
    if scan.running:
        far = f"{scan.looked:,} of {scan.changed:,} that are new" if scan.changed else f"{scan.found:,} so far"
        return f"looking through the folders: {far}   (r stops)"
    kinds = counted(scan.counts)
    if scan.cancelled:
        return f"stopped looking; found {kinds or 'nothing yet'}   (r goes on)"
    if scan.out_of_reach:
        found = f"found {kinds}; " if kinds else ""
        return plain(f"{found}{', '.join(scan.out_of_reach)}   (r looks again)")
    if kinds or not all(model.bundled for model in snapshot.models):
        return f"found {kinds}" if kinds else ""
    return "No models of your own yet: F7 names folders of them, g fetches one."


def _matches(row: ModelRow, words: list[str]) -> bool:
    told = f"{row.name} {row.kind} {row.family} {row.words}".lower()
    return all(word in told for word in words)


def _texts(row: ModelRow) -> dict[str, str]:
    return {
        "name": row.name,
        "kind": (row.family or "model") if row.kind == "model" else named(row.kind),
        "size": f"{size_of(row.bytes):>6}",
        "where": row.where,
        "kept": row.kept,
    }


def _room(rows: Iterable[ModelRow], width: int) -> int:
    """Cells for names, where the table is `width` cells wide and its other columns are as wide as they must be."""
    texts = [COLUMNS, *map(_texts, rows)]
    others = sum(max(len(one[key]) for one in texts) for key in COLUMNS if key != "name")
    return max(width - others - 2 * len(COLUMNS) - 1, LEAST_NAME)


def _cells(row: ModelRow, name_room: int) -> dict[str, Text]:
    styles = {NO_USE: "bold", "disk": "dim"}
    cells = {key: Text(plain(text), styles.get(text, "")) for key, text in _texts(row).items()}
    cells["name"] = Text(shortened(plain(row.name), name_room))
    return cells
