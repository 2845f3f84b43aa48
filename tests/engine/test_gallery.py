"""The gallery: pictures are found, marked, thrown away and brought back, and copied."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.conftest import Attached, make_job
from tests.engine.conftest import Running
from tui.engine.database import MIGRATIONS, Database
from tui.engine.gallery import Gallery
from tui.protocol.commands import (
    ExportPictures,
    FindPictures,
    MakeContactSheet,
    MarkPictures,
    RestorePictures,
    TrashPictures,
)
from tui.protocol.events import PicturesChanged
from tui.protocol.gallery import PictureInfo, PicturePage
from tui.protocol.problem import LatenttyError


async def find(attached: Attached, text: str = "", **options: object) -> list[PictureInfo]:
    command = FindPictures(text=text, **options)
    return msgspec.msgpack.decode(await attached.client.request(command), type=PicturePage).pictures


async def drawn(running: Running, *prompts: str) -> tuple[Attached, dict[str, int]]:
    """An attached client, and the ids of one picture a prompt; each is a real file with metadata."""
    attached = await running.attach()
    ids = {}
    for prompt in prompts:
        job = make_job(prompt=prompt)
        await attached.client.submit(job)
        await attached.end_of(job)
        (picture,) = await attached.client.pictures(job.id)
        chunks = PngInfo()
        chunks.add_text("parameters", prompt)
        Image.new("RGB", (600, 300), "red").save(picture.path, pnginfo=chunks)
        ids[prompt] = picture.id
    return attached, ids


async def test_pictures_are_found_by_words_marks_and_days(running: Running) -> None:
    attached, ids = await drawn(running, "a red fox", "a blue föx in snow", "a dog")
    assert [one.prompt for one in await find(attached)] == ["a dog", "a blue föx in snow", "a red fox"]
    assert [one.prompt for one in await find(attached, "fox", sort="oldest")] == ["a red fox", "a blue föx in snow"]
    assert [one.prompt for one in await find(attached, "fo -snow model:emoji")] == ["a red fox"]
    assert await find(attached, "before:2020-01-01") == []
    assert [one.picture.id for one in await find(attached, limit=1, offset=1)] == [ids["a blue föx in snow"]]

    await attached.client.request(MarkPictures(pictures=[ids["a dog"]], favourite=True, add_tags=["best", "pets"]))
    assert [(one.favourite, one.tags) for one in await find(attached, "fav tag:pet")] == [(True, ["best", "pets"])]
    await attached.client.request(MarkPictures(pictures=[ids["a dog"]], favourite=False, remove_tags=["pets"]))
    assert await find(attached, "fav") == await find(attached, "tag:pets") == []
    assert (await find(attached, "tag:best"))[0].prompt == "a dog"

    job = make_job(prompt="an owl", tags=["night", "birds", "night"])
    await attached.client.submit(job)
    await attached.end_of(job)
    assert [(one.prompt, one.tags) for one in await find(attached, "tag:night birds")] == [
        ("an owl", ["birds", "night"])
    ]
    with pytest.raises(LatenttyError, match="no picture 99"):
        await attached.client.request(MarkPictures(pictures=[ids["a dog"], 99], favourite=True))
    assert await find(attached, "fav") == [], "all or none"


async def test_what_was_thrown_away_comes_back(running: Running) -> None:
    attached, ids = await drawn(running, "keep", "throw")
    path = Path((await find(attached, "throw"))[0].picture.path)
    await attached.client.request(TrashPictures(pictures=[ids["throw"]]))
    assert not path.exists()
    assert [one.prompt for one in await find(attached)] == ["keep"]
    assert [one.prompt for one in await find(attached, trashed=True)] == ["throw"]
    assert [one.id for one in attached.snapshot.pictures] == [ids["keep"]]
    assert await attached.client.fetch(ids["throw"], 32, 32), "it can still be looked at"

    await attached.client.request(RestorePictures(pictures=[ids["throw"]]))
    assert path.is_file()
    assert [one.id for one in attached.snapshot.pictures] == [ids["throw"], ids["keep"]]
    assert sum(isinstance(event, PicturesChanged) for event in attached.watching.events) == 2

    path.rename(path.with_name("elsewhere.png"))
    path.parent.joinpath(".trash").mkdir(exist_ok=True)
    path.with_name("elsewhere.png").rename(path.parent / ".trash" / path.name)  # as a sudden end leaves it
    assert await attached.client.fetch(ids["throw"], 32, 32)


async def test_copies_tell_how_they_were_made_or_do_not_and_overwrite_nothing(running: Running, tmp_path: Path) -> None:
    attached, ids = await drawn(running, "a cup", "a key")
    command = ExportPictures(pictures=list(ids.values()), folder=str(tmp_path / "new" / "out"))
    first = msgspec.msgpack.decode(await attached.client.request(command), type=list[str])
    bare = msgspec.structs.replace(command, metadata=False)
    second = msgspec.msgpack.decode(await attached.client.request(bare), type=list[str])
    assert len({*first, *second}) == 4
    with Image.open(first[0]) as one, Image.open(second[0]) as other:
        assert one.text == {"parameters": "a cup"}
        assert not other.text
        assert one.tobytes() == other.tobytes()
    with pytest.raises(LatenttyError, match="not absolute"):
        await attached.client.request(ExportPictures(pictures=[1], folder="here"))

    sheet = MakeContactSheet(
        pictures=[*ids.values(), 0], path=str(tmp_path / "sheet.png"), columns=2, labels=["1", "2"]
    )
    names = {msgspec.msgpack.decode(await attached.client.request(sheet), type=str) for _ in range(2)}
    assert names == {str(tmp_path / "sheet.png"), str(tmp_path / "sheet 2.png")}
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width > 2 * 512
        assert image.height > 2 * 256


async def test_small_copies_are_made_once(running: Running) -> None:
    attached, ids = await drawn(running, "a cup")
    kept = running.paths.cache / "thumbnails"
    shown = [await attached.client.fetch(ids["a cup"], edge, edge) for edge in (60, 60, 128, 200)]
    assert shown[0] == shown[1]
    assert len(list(kept.iterdir())) == 2, "one for each size that is kept"
    await attached.client.fetch(ids["a cup"], 500, 500)
    assert len(list(kept.iterdir())) == 2, "large ones are read from the picture"


async def test_pictures_of_an_older_version_are_found_too(tmp_path: Path) -> None:
    job = make_job(prompt="from long ago")
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        connection.execute(
            "INSERT INTO job (id, state, position, submitted, payload) VALUES (?, 'done', 1, 1, ?)",
            (job.id, msgspec.msgpack.encode(job)),
        )
        connection.execute("INSERT INTO picture VALUES (1, ?, 0, '/p.png', 7, 64, 64, 1000000)", (job.id,))
        connection.commit()
    database = Database(tmp_path / "old.db")
    await database.open()
    page = await Gallery(database).find(FindPictures(text="long model:emoji on:1970-01-12"))
    database.close()
    assert [(one.prompt, one.mode) for one in page.pictures] == [("from long ago", "txt2img")]
