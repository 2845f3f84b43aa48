"""The gallery: every picture that was made, found by words, marked, compared, thrown away and brought back."""

import asyncio
import io
import time
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace
from PIL import Image
from textual import on, work
from textual.binding import Binding
from textual.events import ScreenResume
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui.client import EngineClient
from tui.library.paths import short_path
from tui.library.picture_search import HELP
from tui.library.picture_tags import tags_in
from tui.library.plain_text import plain
from tui.protocol.commands import (
    ClientCommand,
    EmptyTrash,
    ExportPictures,
    FindPictures,
    GetJob,
    MakeContactSheet,
    MarkPictures,
    RestorePictures,
    TrashPictures,
)
from tui.protocol.events import ClientEvent, ImageSaved, JobRecord, PicturesChanged
from tui.protocol.gallery import SORTS, PictureInfo, PicturePage, Sort
from tui.protocol.job import Job
from tui.protocol.problem import LatenttyError
from tui.protocol.snapshot import Snapshot
from tui.screens.compare import CompareScreen
from tui.screens.undo import UNDO_HELP, UndoingScreen, undo_key
from tui.screens.viewer import ViewerScreen
from tui.widgets.ask_line import AskLine
from tui.widgets.picture_grid import PictureGrid, Tile

PAGE: Final = 100
"""Pictures that are asked for at a time."""

AT_ONCE: Final = 4
"""Pictures that are fetched beside each other."""

NO_PICTURES: Final = (
    "No pictures yet.\nF2 leads to the studio: type what you want to see, and press Enter.\n"
    "b shows what was thrown away."
)
NOTHING_FOUND: Final = "Nothing is found so.\n/ looks for something else; an empty line finds all."
TRASH_EMPTY: Final = "The trash is empty.\nb leads back to the pictures."

SORTED: Final[dict[Sort, str]] = {
    "newest": "newest first",
    "oldest": "oldest first",
    "favourites": "favourites first",
    "model": "by model",
    "largest": "largest first",
}

MAX_KEPT: Final = 400
"""Small pictures that stay in memory."""


class GalleryScreen(UndoingScreen):
    """A search line, a grid, and the details of the picture under the cursor."""

    CSS_PATH = "gallery.tcss"
    PLACE = "gallery"
    AUTO_FOCUS = "#grid"
    ABOUT = (
        "Every picture that was made. Space selects several: what is pressed then acts on all of them. What is thrown "
        "away lies in the trash until that is emptied."
    )
    BINDINGS = [
        Binding("slash", "search", "Search", id="gallery.search"),
        Binding("space", "select", "Select", id="gallery.select"),
        Binding("f", "favourite", "Favourite", id="gallery.favourite"),
        Binding("t", "tag", "Tag", id="gallery.tag", tooltip="Put tags on, or with - take them off"),
        Binding("c", "compare", "Compare", id="gallery.compare", tooltip="Two to four pictures side by side"),
        Binding("r", "recall", "Recall", id="gallery.recall", tooltip="Take all settings of the picture to the studio"),
        Binding("d,delete", "trash", "Delete", id="gallery.trash", tooltip="To the trash; there: back from it"),
        Binding("z", "undo", "Undo", id="gallery.undo", tooltip=UNDO_HELP),
        Binding("s", "sort", "Sort", id="gallery.sort"),
        Binding("x", "export", "Export", id="gallery.export", tooltip="Copy into a folder"),
        Binding("X", "export_bare", "Export bare", show=False, id="gallery.export_bare", tooltip="Without metadata"),
        Binding("p", "sheet", "Sheet", show=False, id="gallery.sheet", tooltip="A contact sheet of the selected ones"),
        Binding("y", "copy", "Copy path", show=False, id="gallery.copy"),
        Binding("a", "select_page", "Select all in sight", show=False, id="gallery.select_all"),
        Binding("n", "select_none", "Select none", show=False, id="gallery.select_none"),
        Binding("E", "empty", "Empty", id="gallery.empty", tooltip="Delete for good what was thrown away"),
        Binding("b", "bin", "Trash", id="gallery.bin", tooltip="Show what was thrown away, or the rest again"),
    ]

    class TakeOver(Message):
        """The user wants to draw with a picture's settings."""

        def __init__(self, job: Job) -> None:
            super().__init__()
            self.job = job

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._summary = Static(id="summary", markup=False)
        self._grid = PictureGrid(id="grid")
        self._details = Static(id="details", markup=False)
        self._line = AskLine(id="ask")
        self._find = FindPictures(limit=PAGE)
        self._total = 0
        self._pages: dict[int, list[PictureInfo]] = {}
        self._known: dict[int, PictureInfo] = {}
        self._selected: list[int] = []
        self._gone: set[int] = set()
        self._stale = True
        """Something happened since the last look."""
        self._outdated = True
        """The pages are of before."""

    def compose_body(self) -> Iterable[Widget]:
        """Summary, grid, details, and the line that asks."""
        yield self._summary
        yield self._grid
        yield self._details
        yield self._line

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
        if self._stale:
            self._stale = False
            self._outdated = True
            self._load()

    def engine_attached(self, snapshot: Snapshot) -> None:
        """It may be another engine."""
        self._stale = True

    def engine_event(self, event: ClientEvent, snapshot: Snapshot) -> None:
        """Pictures came, went or changed."""
        if isinstance(event, ImageSaved | PicturesChanged):
            self._stale = True

    @on(PictureGrid.Seen)
    def _seen(self) -> None:
        self._load()

    @work(group="pages", exclusive=True)
    async def _load(self) -> None:
        """Fetch what is in sight: first what is told about the pictures, then the pictures."""
        again, under = self._outdated, self._under_cursor
        pages = {} if again else dict(self._pages)
        if again:
            self._gone.clear()
        first, last = self._grid.in_sight
        for number in range(first // PAGE, max(last - 1, 0) // PAGE + 1):
            if number not in pages:
                result = await self.result(replace(self._find, offset=number * PAGE))
                if result is None:
                    return
                page = msgspec.msgpack.decode(result, type=PicturePage)
                pages[number], self._total = page.pictures, page.total
        self._pages, self._outdated = pages, False
        self._known |= {info.picture.id: info for page in pages.values() for info in page}
        self._show_tiles()
        self._follow(under if again else None)
        self._show_details()
        await self._fetch_in_sight()

    async def _fetch_in_sight(self) -> None:
        first, last = self._grid.in_sight
        keys = [info.picture.id for place in range(first, last) if (info := self._at(place)) is not None]
        missing = [key for key in keys if not self._grid.has_image(key) and key not in self._gone]
        for start in range(0, len(missing), AT_ONCE):
            await asyncio.gather(*(self._fetch_one(key) for key in missing[start : start + AT_ONCE]))
        if len(self._known) > MAX_KEPT:
            around = range(first - MAX_KEPT // 2, last + MAX_KEPT // 2)
            self._grid.keep_images(info.picture.id for place in around if (info := self._at(place)) is not None)

    async def _fetch_one(self, key: int) -> None:
        edge = self._grid.pixels
        try:
            data = await self.client.fetch(key, edge, edge)
        except LatenttyError:
            self._gone.add(key)  # its tile and its details say so
            self._show_tiles()
            return
        await self._grid.bring(key, Image.open(io.BytesIO(data)))

    def _show_tiles(self) -> None:
        tiles = {
            number * PAGE + place: self._tile(info)
            for number, page in self._pages.items()
            for place, info in enumerate(page)
        }
        self._grid.show(self._total, tiles)
        self._grid.select(self._selected)
        shown = [f"{self._total:,} {'picture' if self._total == 1 else 'pictures'}", SORTED[self._find.sort]]
        if self._find.text:
            shown.insert(1, f"found by {self._find.text!r}")
        if self._find.trashed:
            shown.insert(0, f"TRASH: {undo_key(self.app, 'gallery.trash', 'd')} brings back")
        if self._selected:
            shown.append(f"{len(self._selected)} selected")
        self._summary.update(plain(" · ".join(shown)))

    def _tile(self, info: PictureInfo) -> Tile:
        key = info.picture.id
        words = "gone" if key in self._gone else info.prompt or f"seed {info.picture.seed}"
        return Tile(key, words, "★" if info.favourite else "")

    def _follow(self, info: PictureInfo | None) -> None:
        """Put the cursor on that picture again, if it is there; the first place stays the first."""
        if info is None or self._grid.cursor == 0:
            return
        for number, page in self._pages.items():
            for place, one in enumerate(page):
                if one.picture.id == info.picture.id:
                    self._grid.cursor = number * PAGE + place

    def _at(self, place: int) -> PictureInfo | None:
        page = self._pages.get(place // PAGE, [])
        return page[place % PAGE] if 0 <= place % PAGE < len(page) else None

    @property
    def _under_cursor(self) -> PictureInfo | None:
        return self._at(self._grid.cursor)

    @property
    def _chosen(self) -> list[int]:
        """The selected pictures, or else the one under the cursor."""
        info = self._under_cursor
        return list(self._selected) or ([info.picture.id] if info is not None else [])

    @on(PictureGrid.Moved)
    def _show_details(self) -> None:
        info = self._under_cursor
        text = _details(info, gone=info.picture.id in self._gone) if info is not None else ""
        self._grid.tell(NOTHING_FOUND if self._find.text else TRASH_EMPTY if self._find.trashed else NO_PICTURES)
        self._details.update(plain(text, keep_newlines=True))

    # ---- finding -----------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Type what to look for."""
        self._line.ask("search", "Search", self._find.text, HELP)

    def action_sort(self) -> None:
        """Use the next order."""
        self._look(sort=SORTS[(SORTS.index(self._find.sort) + 1) % len(SORTS)])

    def action_bin(self) -> None:
        """Show what was thrown away, or the rest again."""
        self._selected = []
        self._look(trashed=not self._find.trashed)
        self.refresh_bindings()

    def _look(self, **changes: object) -> None:
        self._find = replace(self._find, **changes)
        self._grid.cursor = 0
        self._outdated = True
        self._load()

    # ---- choosing ----------------------------------------------------------------------------------------------

    def action_select(self) -> None:
        """Select the picture under the cursor, or no longer, and go on to the next."""
        info = self._under_cursor
        if info is None:
            return
        key = info.picture.id
        self._selected = (
            [one for one in self._selected if one != key] if key in self._selected else [*self._selected, key]
        )
        self._show_tiles()
        self._grid.action_move(1, 0)

    def action_select_page(self) -> None:
        """Select every picture in sight."""
        keys = [info.picture.id for place in range(*self._grid.in_sight) if (info := self._at(place)) is not None]
        self._selected += [key for key in keys if key not in self._selected]
        self._show_tiles()

    def action_select_none(self) -> None:
        """Select nothing."""
        self._selected = []
        self._show_tiles()

    # ---- looking -----------------------------------------------------------------------------------------------

    @on(PictureGrid.Opened)
    def _open(self) -> None:
        info = self._under_cursor
        if info is not None:
            listed = [one.picture for _, page in sorted(self._pages.items()) for one in page]
            self.will_show()  # when it is seen again
            self.app.push_screen(ViewerScreen(self.client, listed, listed.index(info.picture)))

    def action_compare(self) -> None:
        """Show the selected pictures side by side; a single one beside the next."""
        chosen = [self._known[key] for key in self._chosen]
        if len(chosen) == 1 and (following := self._at(self._grid.cursor + 1)) is not None:
            chosen.append(following)
        if 2 <= len(chosen) <= 4:
            self.will_show()  # when it is seen again
            self.app.push_screen(CompareScreen(self.client, chosen))
        else:
            self.notify("Select two to four pictures with Space.", severity="warning")

    @work(group="recall")
    async def action_recall(self) -> None:
        """Take all settings of the picture under the cursor to the studio."""
        info = self._under_cursor
        if info is None:
            return
        result = await self.result(GetJob(job_id=info.picture.job_id))
        if result is not None:
            record = msgspec.msgpack.decode(result, type=JobRecord)
            drawn = record.job.picture(info.picture.index).as_drawn
            self.post_message(self.TakeOver(replace(drawn, seed=info.picture.seed, count=1)))

    def action_copy(self) -> None:
        """Copy the paths of the chosen pictures to the terminal's clipboard."""
        paths = [self._known[key].picture.path for key in self._chosen]
        if paths:
            self.app.copy_to_clipboard("\n".join(paths))
            self.notify(
                f"{plain(short_path(paths[0]))} is copied." if len(paths) == 1 else f"{len(paths)} paths are copied.",
                markup=False,
            )

    # ---- changing ----------------------------------------------------------------------------------------------

    def action_favourite(self) -> None:
        """Make the chosen pictures favourites; if all are, no longer."""
        chosen = self._chosen
        wanted = not all(self._known[key].favourite for key in chosen)
        changed = [key for key in chosen if self._known[key].favourite != wanted]
        if changed:
            self._undo.add("The favourites are as before.", MarkPictures(pictures=changed, favourite=not wanted))
            self.ask(MarkPictures(pictures=changed, favourite=wanted))

    def action_tag(self) -> None:
        """Ask for tags."""
        if self._chosen:
            self._line.ask("tag", "Tags", hint="words put tags on, -words take them off")

    def action_trash(self) -> None:
        """Throw the chosen pictures away; in the trash: bring them back."""
        chosen, back = self._chosen, self._find.trashed
        if not chosen:
            return
        there, again = RestorePictures(pictures=chosen), TrashPictures(pictures=chosen)
        count = "1 picture" if len(chosen) == 1 else f"{len(chosen)} pictures"
        self._undo.add(f"{count} back{' in the trash' if back else ''}.", again if back else there)
        self._selected = []
        self.ask(there if back else again)
        key, trash = undo_key(self.app, "gallery.undo"), undo_key(self.app, "gallery.bin", "b")
        done = "brought back" if back else f"thrown away; {trash} shows the trash"
        self.notify(f"{count} {done}. {key} takes it back.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only the trash is emptied, where it is seen."""
        return action != "empty" or self._find.trashed

    def action_empty(self) -> None:
        """Ask whether the trash shall be emptied."""
        if self._total:
            self._line.ask("empty", f"Delete all {self._total:,} for good?", hint="yes deletes them; Esc does not")

    @work(group="commands")
    async def _empty(self) -> None:
        result = await self.result(EmptyTrash())
        if result is not None:
            self._undo.forget()
            count = msgspec.msgpack.decode(result, type=int)
            self.notify(f"{count:,} {'picture is' if count == 1 else 'pictures are'} deleted for good.")

    # ---- copies ------------------------------------------------------------------------------------------------

    def action_export(self) -> None:
        """Ask for a folder to copy into."""
        if self._chosen:
            self._line.ask("export", "Copy to", hint="a folder, such as ~/shown", completes="folder")

    def action_export_bare(self) -> None:
        """The same; the copies tell nothing about their making."""
        if self._chosen:
            self._line.ask("bare", "Copy without metadata to", hint="a folder, such as ~/shown", completes="folder")

    def action_sheet(self) -> None:
        """Ask where the contact sheet of the chosen pictures goes."""
        if self._chosen:
            self._line.ask("sheet", "Contact sheet", time.strftime("~/contact-sheet-%Y-%m-%d.png"), completes="file")

    @on(AskLine.Left)
    def _leave_line(self) -> None:
        self._grid.focus()

    @on(AskLine.Answered)
    def _take_answer(self, event: AskLine.Answered) -> None:
        value = event.value.strip()
        match event.purpose:
            case "search":
                self._look(text=value)
            case "empty" if value.lower() == "yes":
                self._empty()
            case "tag":
                self._tag(tags_in(value))
            case "export" | "bare" if value:
                self._copy(ExportPictures(pictures=self._chosen, folder=value, metadata=event.purpose == "export"))
            case "sheet" if value:
                chosen = self._chosen
                labels = [self._known[key].prompt or str(self._known[key].picture.seed) for key in chosen]
                columns = max(1, round(len(chosen) ** 0.5))
                self._copy(MakeContactSheet(pictures=chosen, path=value, columns=columns, labels=labels))

    def _tag(self, words: list[str]) -> None:
        chosen = self._chosen
        off = [word[1:] for word in words if word[:1] == "-" and word[1:]]
        on_ = [word for word in words if word[:1] != "-"]
        back: list[ClientCommand] = []
        for key in chosen:
            had = self._known[key].tags
            added = [word for word in on_ if word not in had]
            removed = [word for word in off if word in had]
            if added or removed:
                back.append(MarkPictures(pictures=[key], add_tags=removed, remove_tags=added))
        if back:
            self._undo.add("The tags are as before.", *back)
            self.ask(MarkPictures(pictures=chosen, add_tags=on_, remove_tags=off))

    @work(group="copies")
    async def _copy(self, command: ExportPictures | MakeContactSheet) -> None:
        result = await self.result(command)
        if result is None:
            return
        if isinstance(command, MakeContactSheet):
            self.notify(f"Written: {plain(short_path(msgspec.msgpack.decode(result, type=str)))}", markup=False)
        else:
            copies = msgspec.msgpack.decode(result, type=list[str])
            count = "1 copy" if len(copies) == 1 else f"{len(copies)} copies"
            self.notify(f"{count} in {plain(command.folder)}", markup=False)


def _details(info: PictureInfo, *, gone: bool) -> str:
    """What is known about a picture, on three lines."""
    picture = info.picture
    facts = [
        info.model,
        info.mode,
        f"{picture.width}×{picture.height}",
        f"seed {picture.seed}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(picture.created)),
    ]
    marks = ["★ favourite"] if info.favourite else []
    marks += [f"#{tag}" for tag in info.tags]
    path = f"{short_path(picture.path)} is gone." if gone else short_path(picture.path)
    return "\n".join([info.prompt.replace("\n", " ") or "no prompt", " · ".join(marks + facts), path])
