"""Settings and keys are changed where they are seen, and kept in their files; the log grows as one looks."""

from pathlib import Path

from textual.widgets import DataTable, Input, Log, Static

from tests.screens.conftest import OpenApp, until
from tui.keymap_files import read_keymap
from tui.library.paths import Paths
from tui.library.setting_fields import setting_fields
from tui.library.settings import Settings, load_settings
from tui.protocol.commands import ChangeSetting
from tui.screens.choose import ChooseScreen
from tui.screens.help import HelpScreen
from tui.screens.log import LogScreen
from tui.screens.settings import SettingsScreen
from tui.screens.undo import undo_key


def test_every_setting_has_a_help_and_reads_what_it_tells() -> None:
    for field in setting_fields():
        assert field.help, field.name
        assert field.read(field.told(Settings())) == field.value_of(Settings()), field.name


async def test_settings_keys_and_the_log(open_app: OpenApp, home: Paths, tmp_path: Path) -> None:
    home.settings_file.parent.mkdir(parents=True, exist_ok=True)
    home.settings_file.write_text("# mine\nautoload = true\n")
    async with open_app(80, 24) as pilot:
        app = pilot.app
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen) and app.screen.query_one(DataTable).row_count)
        screen = app.screen
        table = screen.query_one(DataTable)

        async def change(name: str, value: str) -> None:
            table.move_cursor(row=table.get_row_index(name))
            await pilot.press("enter")
            await pilot.pause()
            if isinstance(app.screen, ChooseScreen):
                await pilot.press(*value, "enter")
            else:
                screen.query_one("#setting-ask Input", Input).value = value
                await pilot.press("enter")
            await pilot.pause()

        async def said(part: str) -> None:
            await until(pilot, lambda: any(part in one.message for one in app._notifications))

        async def exits_after(minutes: int) -> None:
            await until(pilot, lambda: load_settings(home, {}).engine.exit_after == minutes)
            await until(pilot, lambda: table.get_cell("engine.exit_after", "value").plain.startswith(f"{minutes} "))

        await change("theme", "moss")
        await until(pilot, lambda: app.theme == "moss")
        assert home.settings_file.read_text().startswith("# mine")
        await app._client.request(ChangeSetting(name="theme", value="ember"))  # as another app does
        await until(pilot, lambda: app.theme == "ember")
        await change("theme", "moss")
        await until(pilot, lambda: app.theme == "moss")
        await pilot.press("enter", *"emb")
        await until(pilot, lambda: app.theme == "ember")  # seen before it is taken
        await pilot.press(*"xyz", "enter", "escape")
        await until(pilot, lambda: app.theme == load_settings(home, {}).theme == "moss")
        await pilot.press("right")
        await until(pilot, lambda: load_settings(home, {}).theme == app.theme == "nord")
        await pilot.press("left")
        await until(pilot, lambda: load_settings(home, {}).theme == app.theme == "moss")
        await change("engine.exit_after", "soon")
        await said("engine.exit_after cannot be 'soon'")
        await change("picture_quality", "900")
        await said("number of 1 to 100 is wanted")
        await change("engine.exit_after", "5")
        await exits_after(5)
        await pilot.press("right")
        await exits_after(6)
        await pilot.press("left")
        await exits_after(5)
        await pilot.press("d")
        await exits_after(120)
        for minutes in (5, 6, 5, 120):
            await pilot.press("z")
            await exits_after(minutes)
        assert "attached" in str(screen.query_one("#setting-help", Static).content)
        await pilot.press("slash", *"compile")
        await until(pilot, lambda: [key.value for key in table.rows] == ["compile_models"])
        await pilot.press("enter", "enter")
        await until(pilot, lambda: load_settings(home, {}).compile_models)
        await pilot.press("z", "escape")
        await until(pilot, lambda: table.row_count > 100 and not load_settings(home, {}).compile_models)
        assert table.get_row_index("compile_models") == table.cursor_row

        await change("keys.help", "f12")
        assert read_keymap(home.keymap_file).keys == {"help": "f12"}
        await pilot.press("f12")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape", "d")
        assert read_keymap(home.keymap_file).keys == {}
        await pilot.press("z")
        assert read_keymap(home.keymap_file).keys == {"help": "f12"}
        await pilot.press("d")
        await change("keys.cancel", "ctrl+g")
        assert read_keymap(home.keymap_file).keys == {}
        await said("ctrl+g would mean both")
        await change("ring_with", "both")
        await until(pilot, lambda: app._settings.ring_with == "both")
        assert "at once" in str(screen.query_one("#setting-help", Static).content)
        await change("keymap", "vim")
        assert read_keymap(home.keymap_file).preset == "vim"
        await pilot.press("f2", "escape")  # and it is in force: i types, Escape acts on the picture, s sets
        studio = app.screen
        assert app.focused is studio.preview
        await pilot.press("i", "a", "escape", "s")
        assert (studio.prompts.prompt, app.focused) == ("a", studio.query_one("#model"))
        assert undo_key(app, "picture.undo") == "u"
        studio.preview.focus()
        await pilot.press("u")
        await until(pilot, lambda: any("take back" in one.message for one in app._notifications))

        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LogScreen))
        home.log_file.parent.mkdir(parents=True, exist_ok=True)
        with home.log_file.open("a") as file:
            file.write("a line of \x1b[31mfoes\n")
        await until(pilot, lambda: any("a line of [31mfoes" in line for line in app.screen.query_one(Log).lines))
        await pilot.press("g", "j", "k", "G")


async def test_a_broken_file_of_keys_is_told_and_leaves_the_settings_in_sight(open_app: OpenApp, home: Paths) -> None:
    home.keymap_file.parent.mkdir(parents=True, exist_ok=True)
    home.keymap_file.write_text("[keys")
    async with open_app(80, 24) as pilot:
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
        table = pilot.app.screen.query_one(DataTable)
        await until(pilot, lambda: table.row_count)
        assert table.get_cell("keymap", "value").plain == "the file cannot be used"
        assert table.get_cell("keys.generate", "value").plain == "ctrl+g"
        assert any("cannot be used" in one.message for one in pilot.app._notifications)
