"""The settings screen: every setting and every key with its help, changed where it is seen, kept in its file."""

from collections.abc import Iterable
from typing import Final

from rich.text import Text
from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static
from textual.widgets.data_table import ColumnKey

from tui.client import EngineClient
from tui.keymap_files import PRESETS, Keymap, complaints, new_clashes, read_keymap, save_keymap
from tui.library.paths import short_path
from tui.library.plain_text import plain
from tui.library.setting_fields import setting_fields
from tui.library.settings import Settings
from tui.protocol.commands import ChangeSetting
from tui.protocol.problem import LatenttyError, bad_request
from tui.protocol.snapshot import Snapshot
from tui.screens.choose import ChooseScreen
from tui.screens.engine_screen import EngineScreen, tell
from tui.screens.key_places import KEY_HELP, built_in_keys, keys_by_place
from tui.screens.themes import choose_theme, theme_names
from tui.screens.undo import MAX_KEPT
from tui.widgets.ask_line import AskLine
from tui.widgets.row_table import RowTable

KEYS: Final = "keys."
"""What the names of keys begin with, among the settings."""

NAME_WIDTH: Final = 28
NUMBER_WIDTH: Final = 6
KEY_WIDTH: Final = 24
ROOMY: Final = 50
"""Columns of a value from which on there is room beside a key for what it does."""
OWN_WIDTH: Final = 16
"""Columns that the word "changed" takes, with all gaps."""

SWITCH: Final = ["no", "yes"]

EMPTY: Final = {"autoload_model": "the one used last"}
"""What is told of an empty value that does not mean none."""

NOTHING_FOUND: Final = "Nothing has all of these words. Esc shows everything again."
KEYS_HELP: Final = "Named as in ctrl+g, f12, a, space or shift+left; several with commas between."

PRESET: Final = "keymap"
PRESET_HELP: Final = "A set of keys to begin with: default or vim. Single keys below go before it."
AT_ONCE: Final = "Takes effect at once."
NEXT_PICTURE: Final = "Takes effect with the next job."
NEXT_START: Final = "Takes effect when the engine starts next."
NEW_WORKER: Final = "Takes effect at once: the worker starts anew, after the job that it has."
EFFECT: Final = {
    "preview": "Takes effect when the app opens next; until then ^T goes through the ways.",
    "autoload": NEXT_START,
    "autoload_model": NEXT_START,
    "model_folders": NEW_WORKER,
    "compile_models": NEW_WORKER,
    "output_folder": NEXT_PICTURE,
    "picture_format": NEXT_PICTURE,
    "picture_quality": NEXT_PICTURE,
    "wildcard_folder": NEXT_PICTURE,
}
"""When a setting takes effect, where it is not at once."""


STEP_HELP: Final = "The value before, the next one: of numbers, of choices, of themes"


class SettingTable(RowTable, inherit_bindings=False):
    """Leaves left and right to the screen: its rows have no more than there is room for."""

    BINDINGS = [one for one in RowTable.BINDINGS if isinstance(one, Binding) and one.key not in ("left", "right")]


class SettingsScreen(EngineScreen):
    """A table and a line to type in."""

    DEFAULT_CSS = """
    SettingsScreen #setting-table { height: 1fr; }
    SettingsScreen #setting-filter { display: none; height: 1; padding: 0 1; background: $panel; }
    SettingsScreen #setting-help { height: 3; padding: 0 1; color: $text-muted; border-top: solid $border-blurred; }
    """
    PLACE = "settings"
    AUTO_FOCUS = "#setting-table"
    ABOUT = "What is changed here is kept in settings.toml and keymap.toml, whose comments and order stay."
    BINDINGS = [
        Binding("enter,e", "change", "Change", id="settings.change", tooltip="Type it, choose it, or switch it over"),
        Binding("slash", "filter", "Filter", id="settings.filter", tooltip="Show what has some words in it"),
        Binding("d,delete", "default", "Default", id="settings.default", tooltip="Set it back to what it was"),
        Binding("z", "undo", "Undo", id="settings.undo", tooltip="Take the last change back"),
        Binding("left", "step(-1)", "Before", show=False, id="settings.before", tooltip=STEP_HELP),
        Binding("right", "step(1)", "Next", show=False, id="settings.next", tooltip=STEP_HELP),
        Binding("escape", "leave_filter", "Back to all of them", show=False, id="settings.leave_filter"),
        Binding("j", "cursor(1)", "Down", show=False, id="settings.down"),
        Binding("k", "cursor(-1)", "Up", show=False, id="settings.up"),
    ]

    class Saved(Message):
        """A setting or a key was changed in its file."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, client: EngineClient) -> None:
        super().__init__(client)
        self._table: DataTable[Text] = SettingTable(id="setting-table", cursor_type="row")
        self._filter = Input(id="setting-filter", placeholder="words of a name, a value or a help", compact=True)
        self._help = Static(id="setting-help", markup=False)
        self._ask = AskLine(id="setting-ask")
        self._values: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._former: list[tuple[str, str]] = []
        """What was changed here, the last one last: the name and what it was."""
        self._fields = {field.name: field for field in setting_fields()}

    def compose_body(self) -> Iterable[Widget]:
        """Filter, table, line, help."""
        yield self._filter
        yield self._table
        yield self._ask
        yield self._help

    def on_mount(self) -> None:
        """The columns and the lines, and a cursor that does not blink."""
        self._filter.cursor_blink = False
        self._table.add_column("Setting", key="name", width=NAME_WIDTH)
        self._table.add_column("Value", key="value", width=self._value_width)
        self._table.add_column("", key="own")
        self._show()

    def show_state(self, snapshot: Snapshot) -> None:
        """What the engine goes by may be something else now."""
        super().show_state(snapshot)
        if snapshot.settings != self._told:
            self._show()

    @property
    def _value_width(self) -> int:
        return max(self.app.size.width - NAME_WIDTH - OWN_WIDTH, 10)

    def on_resize(self) -> None:
        """Values get what room there is."""
        if self._table.columns:
            self._table.columns[ColumnKey("value")].width = self._value_width
            self._show()

    @property
    def built_in(self) -> dict[str, str]:
        """The keys of everything that a key can do, as they are built in; the app's own too."""
        return built_in_keys(type(self.app))

    def _show(self) -> None:
        """Show the settings that the engine goes by, and the keys that the file names now."""
        if self.client.snapshot is None:
            return
        under, row, self._told = self._under, self._table.cursor_row, self.client.snapshot.settings
        self._table.clear()
        keymap, preset = self._keymap()
        for name, field in self._fields.items():
            value = self._told[name]
            own = "" if value == field.told(Settings()) else "changed"
            self._add(name, value, own, field.values if field.kind == "number" else "")
        self._add(PRESET, preset, "" if preset == "default" else "changed")
        for name, keys in sorted(self.built_in.items()):
            own = "changed" if name in keymap.all else ""
            self._add(KEYS + name, keymap.all.get(name, keys), own, KEY_HELP.get(name, ""))
        self._table.move_cursor(row=self._table.get_row_index(under) if under in self._table.rows else row)

    def _keymap(self) -> tuple[Keymap, str]:
        """The user's keys and what is told of the whole file; one that cannot be used changes none."""
        try:
            keymap = read_keymap(self.client.paths.keymap_file)
        except LatenttyError as error:
            tell(self.app, error.problem)
            return Keymap(), "the file cannot be used"
        return keymap, keymap.preset

    def _add(self, name: str, value: str, own: str, about: str = "") -> None:
        """A line; `about` stands beside the value, in a column of its own for settings and one for keys.

        It stays out where words are looked for that it does not have.
        """
        self._values[name] = value
        words = f"{name} {value} {own} {self._help_of(name)}".lower()
        if not all(word in words for word in self._filter.value.lower().split()):
            return
        shown = Text(plain(value)) if value else Text(plain(self._usual(name)), "dim")
        if about and (self._value_width >= ROOMY or not name.startswith(KEYS)):
            shown.pad_right(max((KEY_WIDTH if name.startswith(KEYS) else NUMBER_WIDTH) - len(shown), 1))
            shown.append(about, "dim")
        shown.truncate(self._value_width, overflow="ellipsis")
        group, dot, rest = name.partition(".")
        told = Text.assemble((group + dot, "dim"), rest) if dot else Text(name)
        self._table.add_row(told, shown, Text(own, "italic"), key=name)

    def _usual(self, name: str) -> str:
        """What an empty value means."""
        folders = {"output_folder": Settings.pictures, "wildcard_folder": Settings.wildcards}
        return short_path(folders[name](Settings(), self.client.paths)) if name in folders else EMPTY.get(name, "none")

    def _help_of(self, name: str) -> str:
        if name == PRESET:
            return PRESET_HELP
        field = self._fields.get(name)
        return field.help if field is not None else KEY_HELP.get(name.removeprefix(KEYS), "")

    @property
    def _under(self) -> str:
        if not self._table.row_count:
            return ""
        return str(self._table.coordinate_to_cell_key(self._table.cursor_coordinate).row_key.value)

    @on(DataTable.RowHighlighted)
    def _explain(self) -> None:
        field = self._fields.get(self._under)
        more = KEYS_HELP if self._under.startswith(KEYS) else ""
        if field is not None:
            values = f"{field.values[0].upper()}{field.values[1:]}. " if field.values else ""
            more = f"{values}{EFFECT.get(self._under, AT_ONCE)}"
        self._help.update(f"{self._help_of(self._under)}\n{more}" if self._under else NOTHING_FOUND)

    # ---- keys --------------------------------------------------------------------------------------------------

    @on(DataTable.RowSelected)
    def action_change(self) -> None:
        """Type another value, or take one of those that there are; of two, the other."""
        name = self._under
        values = self._choices(name)
        if values == SWITCH:
            self._change(name, "no" if self._values[name] == "yes" else "yes")
        elif values:
            self._choose(name, values)
        elif name:
            self._ask.ask(name, name, self._values[name])

    @work(group="choose", exclusive=True)
    async def _choose(self, name: str, values: list[str]) -> None:
        if name == "theme":
            text = await choose_theme(self.app)
        else:
            now = self._values[name]
            current = values.index(now) if now in values else None
            chosen = await self.app.push_screen_wait(ChooseScreen(name, values, "part of a name", current=current))
            text = None if chosen is None else values[chosen]
        if text is not None and text != self._values[name]:
            self._change(name, text)

    def action_filter(self) -> None:
        """Type what to look for."""
        self._filter.display = True
        self._filter.focus()

    def action_leave_filter(self) -> None:
        """Back to the table, with all of it."""
        self._filter.value = ""
        self._filter.display = False
        self._table.focus()

    @on(Input.Submitted, "#setting-filter")
    def _keep_filter(self) -> None:
        self._table.focus()

    @on(Input.Changed, "#setting-filter")
    def _look_for(self) -> None:
        if self._filter.value:
            self._table.move_cursor(row=0)
        self._show()
        self._explain()

    def action_step(self, by: int) -> None:
        """Take the value before or the next one, where there are some in an order."""
        name, value = self._under, self._values.get(self._under, "")
        field = self._fields.get(name)
        if field is not None and field.kind == "number":
            there = min(max(float(value) + by, field.minimum), field.maximum)
            text = f"{there:g}"
        else:
            values = self._choices(name)
            if value not in values:
                return
            text = values[min(max(values.index(value) + by, 0), len(values) - 1)]
        if text != value:
            self._change(name, text)

    def _choices(self, name: str) -> list[str]:
        """What a setting can be, in its order; nothing where it can be any text."""
        if name == "theme":
            return theme_names(self.app)
        if name == PRESET:
            return list(PRESETS)
        field = self._fields.get(name)
        if field is not None and field.kind == "switch":
            return SWITCH
        return list(field.choices) if field is not None else []

    def action_default(self) -> None:
        """Set it back."""
        name = self._under
        if name.startswith(KEYS):
            self._change(name, "")
        elif name == PRESET:
            self._change(name, "default")
        elif name:
            self._change(name, self._fields[name].told(Settings()))

    @work(group="commands")
    async def action_undo(self) -> None:
        """Take the last change back."""
        if not self._former:
            self.notify("Nothing was changed here since Latentty was opened.")
            return
        name, text = self._former.pop()
        if await self._save(name, text):
            if name not in self._table.rows:
                self.action_leave_filter()
                self._show()
            self._table.move_cursor(row=self._table.get_row_index(name))
            self.notify(f"{name} is as before.", markup=False)

    @on(AskLine.Answered)
    def _answered(self, event: AskLine.Answered) -> None:
        self._change(event.purpose, event.value)

    @on(AskLine.Left)
    def _back(self) -> None:
        self._table.focus()

    def _change(self, name: str, text: str) -> None:
        """Keep `text` for `name`, so that it can be taken back; a further step goes on from there at once."""
        before = self._values.get(name, "")
        if name.startswith(KEYS) and before == self.built_in[name.removeprefix(KEYS)]:
            before = ""
        self._values[name] = text
        self._keep(name, text, before)

    @work(group="commands")
    async def _keep(self, name: str, text: str, before: str) -> None:
        if await self._save(name, text):
            self._former = [*self._former, (name, before)][-MAX_KEPT:]
        else:
            self._show()

    async def _save(self, name: str, text: str) -> bool:
        """Keep it; False when it is not possible, which is told. The engine writes settings, the app keys."""
        try:
            if name == PRESET or name.startswith(KEYS):
                self._save_key(name.removeprefix(KEYS), text.strip())
            else:
                await self.client.request(ChangeSetting(name=name, value=text))
        except LatenttyError as error:
            tell(self.app, error.problem)
            return False
        self._show()
        self._explain()
        self.post_message(self.Saved(name))
        return True

    def _save_key(self, name: str, text: str) -> None:
        path = self.client.paths.keymap_file
        keymap = read_keymap(path)
        if name == PRESET:
            keymap = Keymap(preset="vim" if text == "vim" else "default", keys=keymap.keys)
        else:
            others = {one: keys for one, keys in keymap.keys.items() if one != name}
            keymap = Keymap(preset=keymap.preset, keys=others | ({name: text} if text else {}))
        if wrong := complaints(keymap, self.built_in) + new_clashes(keymap.all, keys_by_place(type(self.app))):
            raise bad_request(" ".join(wrong), "Keys are named such as ctrl+g, f12, a, space or shift+left.")
        save_keymap(path, keymap)

    def action_cursor(self, by: int) -> None:
        """Move the cursor by lines."""
        self._table.move_cursor(row=self._table.cursor_row + by)
