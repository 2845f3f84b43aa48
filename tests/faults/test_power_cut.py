"""The power goes at any moment: what was acknowledged is there, and nothing is half there."""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import make_job, pictures_below
from tests.faults.conftest import Tally
from tests.faults.sqlite_files import Operation, SqliteFiles, after_power_cut, library
from tests.library.test_pictures import making_of
from tui.engine import database as database_module
from tui.engine.database import Database
from tui.engine.queue import Queue
from tui.library import pictures
from tui.library.pictures import read_making, save_picture
from tui.protocol.events import SavedFile
from tui.protocol.problem import LatenttyError


@pytest.mark.skipif(library() is None, reason="this Python's SQLite cannot be watched")
async def test_the_power_goes_and_no_acknowledged_job_is_lost(
    tmp_path: Path,
    tally: Tally,
    chance: random.Random,
    times: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[int, str, str]] = []
    """After how many operations on the disk which job was acknowledged in which state."""
    with SqliteFiles() as files:
        monkeypatch.setattr(database_module, "sync_folder", lambda _: files.operations.append(Operation("folder", "")))
        database = Database(tmp_path / "latentty.db")
        await database.open()
        await database.run(lambda connection: connection.execute("PRAGMA wal_autocheckpoint = 12").fetchall())
        queue = Queue(database)
        for number in range(60):
            job = make_job(prompt="x" * chance.randint(0, 6000))
            await queue.submit(job)
            told.append((len(files.operations), job.id, "waiting"))
            if number % 3 == 2:
                claimed = await queue.claim()
                assert claimed is not None
                file = SavedFile(job_id=claimed.job.id, index=0, path=f"/{number}", seed=1, width=8, height=8)
                await queue.save(file)
                told.append((len(files.operations), claimed.job.id, "done"))
        everything = len(files.operations)
        database.close()
    kinds = {one.kind for one in files.operations}
    assert {"write", "sync"} <= kinds
    assert any(one.name == "latentty.db" and one.kind == "write" for one in files.operations[20:everything])
    for attempt in range(times(40, 1000)):
        moment = chance.randint(1, everything)
        folder = tmp_path / f"after-{attempt}"
        folder.mkdir()
        for name, content in after_power_cut(files.operations[:moment], chance).items():
            (folder / name).write_bytes(content)
        again = Database(folder / "latentty.db")
        await again.open()
        found = await again.run(states)
        tally.tried += 1
        acknowledged = {job_id: state for when, job_id, state in told if when <= moment}
        tally.lost += sum(
            found.get(job_id, "") not in (("done",) if state == "done" else ("waiting", "running", "done"))
            for job_id, state in acknowledged.items()
        )
        assert await again.run(whole), "the file is sound"
        again.close()
    tally.note = f"{len(told)} promises, {everything} writes and syncs"
    assert tally.lost == 0


def states(connection: sqlite3.Connection) -> dict[str, str]:
    return {row["id"]: row["state"] for row in connection.execute("SELECT id, state FROM job")}


def whole(connection: sqlite3.Connection) -> bool:
    return [tuple(row) for row in connection.execute("PRAGMA integrity_check")] == [("ok",)]


class Disk:
    """What a program does to one folder's files, and what of it a power cut may leave."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.done: list[tuple[str, Path, bytes | Path | None]] = []
        monkeypatch.setattr(os, "fsync", self._fsync(os.fsync))
        monkeypatch.setattr(Path, "rename", self._rename(Path.rename))
        monkeypatch.setattr(Path, "mkdir", self._mkdir(Path.mkdir))

    def _fsync(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.done.append(("sync", path, None if path.is_dir() else path.read_bytes()))
            real(descriptor)

        return fsync

    def _rename(self, real: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def rename(path: Path, target: Path) -> Path:
            self.done.append(("rename", path, target))
            return real(path, target)

        return rename

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def mkdir(path: Path, *arguments: object, **named: object) -> None:
            self.done.append(("mkdir", path, None))
            real(path, *arguments, **named)

        return mkdir

    def after_power_cut(self, moment: int, chance: random.Random) -> dict[Path, bytes]:
        """The files that are there: an entry counts only once its folder was synced, or by chance before."""
        done = self.done[:moment]
        content = {path: data for kind, path, data in done if kind == "sync" and isinstance(data, bytes)}
        there: dict[Path, bytes] = {}
        for number, (kind, path, target) in enumerate(done):
            if kind != "rename" or not isinstance(target, Path):
                continue
            folders = [one for one in target.parents if self.root in one.parents or one == self.root]
            made = {one: at for at, (what, one, _) in enumerate(done) if what == "mkdir"}
            kept = self._synced(done, target.parent, number) or chance.random() < 0.5
            for folder in folders:
                if folder in made and folder != self.root:
                    kept = kept and (self._synced(done, folder.parent, made[folder]) or chance.random() < 0.5)
            if kept:
                there[target] = content.get(path, b"")  # never synced before its renaming: nothing of it
        return there

    @staticmethod
    def _synced(done: list[tuple[str, Path, bytes | Path | None]], folder: Path, since: int) -> bool:
        return any(kind == "sync" and path == folder for kind, path, _ in done[since:])


def test_the_power_goes_and_no_picture_is_half_or_missing(
    tmp_path: Path,
    tally: Tally,
    chance: random.Random,
    times: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "out"
    root.mkdir()
    disk = Disk(root, monkeypatch)
    reported: list[tuple[int, Path]] = []
    for number in range(12):
        path = root / f"day-{number // 4}" / "deeper" / f"{number}.png"
        save_picture(Image.new("RGB", (16, 16), (number, 0, 0)), path, making_of(prompt=str(number)))
        reported.append((len(disk.done), path))
    for _ in range(times(100, 5000)):
        moment = chance.randint(1, len(disk.done))
        there = disk.after_power_cut(moment, chance)
        tally.tried += 1
        tally.lost += sum(when <= moment and path not in there for when, path in reported)
        for path, data in there.items():
            (tmp_path / "looked-at.png").write_bytes(data)
            tally.lost += read_making(tmp_path / "looked-at.png") is None or path.suffix != ".png"
    assert tally.lost == 0


@pytest.mark.parametrize("code", [28, 122, 5, 30, 13])
def test_every_failed_write_of_a_picture_is_told_and_leaves_nothing(
    code: int, tmp_path: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(1, 40):
        calls = 0

        def failing(real: Callable[..., object], at: int = at) -> Callable[..., object]:
            def call(*arguments: object, **named: object) -> object:
                nonlocal calls
                calls += 1
                if calls == at:
                    raise OSError(code, os.strerror(code))
                return real(*arguments, **named)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(os.fsync))
            patch.setattr(Path, "rename", failing(Path.rename))
            patch.setattr(Path, "open", failing(Path.open))
            patch.setattr(Image.Image, "save", failing(Image.Image.save))
            patch.setattr(Path, "mkdir", failing(Path.mkdir))
            patch.setattr(pictures, "sync_folder", failing(pictures.sync_folder))
            folder = tmp_path / str(at)
            path = folder / "a" / "b.png"
            code_told = ""
            try:
                save_picture(Image.new("RGB", (8, 8)), path, making_of())
            except LatenttyError as error:
                tally.tried += 1
                code_told = error.problem.code
        left = pictures_below(folder) if folder.exists() else []
        tally.lost += any(one.suffix != ".png" or read_making(one) is None for one in left)
        if calls < at:
            break
        assert code_told == ("disk_full" if code in (28, 122) else "output_unwritable")
    assert tally.tried >= 5
    assert tally.lost == 0
