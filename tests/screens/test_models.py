"""The models screen: what is where, and a key for each thing that can be done about it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from tests.engine.conftest import Running
from tests.library import model_files as files
from tests.library.hub_server import hub_of_user
from tests.library.model_files import write_safetensors
from tests.screens.conftest import OpenApp, snapshot_of, type_text, until
from tests.screens.scripted import open_scripted
from tui.library.paths import Paths, bundled_models, short_path
from tui.library.settings import load_settings
from tui.protocol.commands import Rescan
from tui.protocol.library import ModelFile
from tui.screens.choose import ChooseScreen
from tui.screens.models import ModelsScreen
from tui.screens.studio import StudioScreen
from tui.widgets.number_input import NumberInput
from tui.widgets.row_table import RowTable
from tui.widgets.status_line import StatusLine


def cell(screen: ModelsScreen, line: str, column: str) -> str:
    return screen.query_one(DataTable).get_cell(line, column).plain


async def test_every_key_of_the_models_screen(
    open_app: OpenApp, home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In terminals of both sizes, one after the other at one engine."""
    (tmp_path / "mine").mkdir()
    lora = bundled_models() / "emoji-tiny-lora-pixel" / "pytorch_lora_weights.safetensors"
    shutil.copy(lora, tmp_path / "mine" / "pixel.safetensors")
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(tmp_path / "mine"))
    for size in ((80, 24), (120, 36)):
        async with open_app(*size) as pilot:
            await press_every_key(pilot, home)


async def press_every_key(pilot: Pilot[int], home: Paths) -> None:
    app = pilot.app
    await until(pilot, lambda: app.screen.query_one(StatusLine).state == "ready")
    await pilot.press("f5")
    await until(pilot, lambda: isinstance(app.screen, ModelsScreen) and app.screen.query_one(DataTable).row_count)
    screen, line = app.screen, "model/emoji-tiny"
    assert screen.query_one(DataTable).max_scroll_x == 0, "no column is cut off"
    await until(pilot, lambda: cell(screen, line, "where").startswith("cpu"))
    assert "ControlNets: emoji-tiny-control-edges" in str(screen.query_one("#details", Static).content)

    await pilot.press("u")
    await until(pilot, lambda: cell(screen, line, "where") == "disk")
    await pilot.press("l")
    await until(pilot, lambda: cell(screen, line, "where").startswith("cpu"))
    await pilot.press("p")
    await until(pilot, lambda: cell(screen, line, "kept") == "pinned")
    await pilot.press("a")
    await until(pilot, lambda: cell(screen, line, "kept") == "pinned autoload")
    assert load_settings(home).pinned_models == ["emoji-tiny"]
    await pilot.press("p", "a")
    await until(pilot, lambda: cell(screen, line, "kept") == "")
    assert load_settings(home).autoload_model == ""

    await pilot.press("j", "l")
    await until(pilot, lambda: cell(screen, "ControlNet/emoji-tiny-control-edges", "where").startswith("cpu"))
    await pilot.press("u", "k")
    await until(pilot, lambda: cell(screen, "ControlNet/emoji-tiny-control-edges", "kept") == "")

    await until(pilot, lambda: screen.query_one(DataTable).row_count == 6)
    assert "found" in str(screen.query_one("#scan", Static).content)
    await pilot.press("r")
    await until(pilot, lambda: not snapshot_of(pilot).library.running)
    await pilot.press("j", "j", "enter")
    await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, StudioScreen))
    assert app.screen.prompts.prompt.endswith("<lora:pixel:1>, pixel art")
    await pilot.press("f5")
    await until(pilot, lambda: app.screen is screen)

    await pilot.press("slash")
    await type_text(pilot, "edges")
    await until(pilot, lambda: screen.query_one(DataTable).row_count == 1)
    await pilot.press("escape")
    assert not screen.query_one(Input).display
    assert screen.query_one(DataTable).row_count == 6, "with the two LoRAs and the word that come with it"
    await pilot.press("k", "enter")
    await until(pilot, lambda: isinstance(app.screen, StudioScreen))
    assert app.screen.settings.model == snapshot_of(pilot).models[0]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_long_name_leaves_the_other_columns_on_the_screen(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    monkeypatch.setenv("LATENTTY_MODEL_FOLDERS", str(tmp_path / "mine"))
    write_safetensors(tmp_path / "mine" / f"{'日本' * 20}{'a' * 100}-v2.safetensors", files.KOHYA)
    write_safetensors(tmp_path / "mine" / "fox.safetensors", files.KOHYA_XL, {"ss_trigger_words": "vulpes"})
    async with open_app(*size) as pilot:
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
        screen = pilot.app.screen
        table = screen.query_one(DataTable)

        def names() -> list[str]:
            return [str(table.get_row(key)[0]) for key in table.rows]

        await until(pilot, lambda: any("日" in name for name in names()) and table.max_scroll_x == 0)
        assert next(name for name in names() if "日" in name).endswith("-v2")
        await pilot.press("slash")
        await type_text(pilot, "vulp LORA")
        await until(pilot, lambda: names() == ["fox"])


async def test_a_download_is_begun_watched_stopped_and_gone_on_with_by_keys(
    open_app: OpenApp, home: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTTY_AUTOLOAD", "false")
    with hub_of_user(monkeypatch, tmp_path / "models") as hub:
        hub.files["fox.safetensors"] = write_safetensors(tmp_path / "x.safetensors", files.KOHYA).read_bytes()
        hub.open.clear()
        async with open_app(80, 24) as pilot:
            app = pilot.app
            await pilot.press("f5")
            await until(
                pilot, lambda: isinstance(app.screen, ModelsScreen) and app.screen.query_one(DataTable).row_count
            )
            screen = app.screen
            await pilot.press("g")
            await type_text(pilot, "hf:org/name:fox.safetensors")
            await pilot.press("enter")

            def line() -> str:
                return str(screen.query_one("#scan", Static).content)

            await until(pilot, lambda: "org/name" in line() and "(x stops)" in line())
            (number,) = snapshot_of(pilot).downloads
            await until(pilot, lambda: cell(screen, f"download/{number}", "kind") == "download")
            await pilot.press("x")
            await until(pilot, lambda: cell(screen, f"download/{number}", "where") == "cancelled")
            hub.open.set()
            await pilot.press("k", "k", "k", "enter")
            await until(pilot, lambda: cell(screen, f"download/{number}", "where") == "done")
            assert "licence openrail" in str(screen.query_one("#details", Static).content)
            await until(pilot, lambda: any(row.kind == "lora" for row in screen._rows.values()))
            await pilot.press("x")
            await until(pilot, lambda: not snapshot_of(pilot).downloads)


async def test_lines_that_all_change_at_once_do_not_measure_the_table_for_each(
    open_app: OpenApp, home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every cell that is changed alone, the table looks through its whole column: a thousand took a minute."""
    changed: list[str] = []
    real = RowTable.update_cell

    def counted(self: RowTable, row: str, column: str, *rest: Any, **more: Any) -> None:
        changed.append(f"{row} {column}")
        real(self, row, column, *rest, **more)

    async with open_app(120, 36) as pilot:
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
        screen = pilot.app.screen
        assert isinstance(screen, ModelsScreen)
        await pilot.app.workers.wait_for_complete([one for one in pilot.app.workers if one.group == "files"])
        monkeypatch.setattr(RowTable, "update_cell", counted)
        one = ModelFile(path="/x", name="x", kind="lora", form="safetensors", place="")
        listed = [replace(one, path=f"/m/{n}", name=f"fox {n}") for n in range(300)]
        for told in ({}, {"sha256": "0" * 64}, {"bytes": 5_000_000}):
            listed = [replace(file, **told) for file in listed]
            screen._files = listed
            screen._look()
            assert cell(screen, "lora//m/7", "size").strip() == ("5.0 MB" if "bytes" in told else "0 B")
        assert changed == []
        screen._files = [replace(listed[0], bytes=7_000_000), *listed[1:]]
        screen._look()
        assert changed == ["lora//m/0 size"]


async def test_a_model_is_fetched_into_a_folder_of_our_own_where_none_is_named(running: Running) -> None:
    async with open_scripted(running, 80, 24) as pilot:
        await pilot.press("f5", "g")
        where = short_path(running.paths.models)
        await until(
            pilot, lambda: f"It goes to {where}," in str(pilot.app.screen.query_one("#details", Static).content)
        )
        await type_text(pilot, "https://example.org/fox.safetensors")
        await pilot.press("enter")
        await until(pilot, lambda: snapshot_of(pilot).downloads)
        (state,) = snapshot_of(pilot).downloads.values()
        assert state.folder == str(running.paths.models)
        assert load_settings(running.paths, {}).models() == [running.paths.models]
        await until(pilot, lambda: not next(iter(snapshot_of(pilot).downloads.values())).open)


async def test_a_model_that_is_found_while_the_studio_is_open_is_offered_there(
    running: Running, tmp_path: Path
) -> None:
    async with open_scripted(running) as pilot:
        pane = pilot.app._studio.settings
        bundled = pane.model
        pane.query_one("#steps", NumberInput).value = "7"
        write_safetensors(tmp_path / "home" / "ComfyUI" / "models" / "mine.safetensors", files.SD1)
        await pilot.app._client.request(Rescan())
        await until(pilot, lambda: pane._listed("mine"))
        assert (pane.model, pane.query_one("#steps", NumberInput).value) == (bundled, "7"), "nothing typed is lost"
        pane.choose("mine")
        await until(pilot, lambda: pane.model.name == "mine")
        pane.set_models([bundled], "mine")
        await until(pilot, lambda: pane.model == bundled)
        pane.set_models(snapshot_of(pilot).models, "mine")
        await until(pilot, lambda: pane.model.name == "mine")
