"""kill -9 of the engine in the middle of what it does to pictures: each is where it was or where it should be."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
from PIL import Image

from tests.conftest import Attached, make_job, pictures_below
from tests.faults.conftest import QuickEngine, Tally
from tests.faults.test_sudden_death import restart
from tui.library.pictures import read_making
from tui.library.trash import trash_place
from tui.protocol.commands import (
    ClientCommand,
    EmptyTrash,
    ExportPictures,
    Fetch,
    FindPictures,
    GetSweep,
    MakeContactSheet,
    MarkPictures,
    Rescan,
    RestorePictures,
    StartSweep,
    TrashPictures,
)
from tui.protocol.gallery import PictureInfo, PicturePage
from tui.protocol.job import new_job_id
from tui.protocol.sweep import Axis, Sweep, SweepState

POINTS = ("before commit", "after commit", "before rename", "after rename", "before fsync")


class Album:
    """Pictures, what was last asked to be done to them, and whether it was."""

    def __init__(self, attached: Attached, chance: random.Random, folder: Path) -> None:
        self._attached = attached
        self._chance = chance
        self._folder = folder
        self.pictures: dict[int, Path] = {}
        self.trashed: set[int] = set()
        self.tags: dict[int, set[str]] = {}
        self.sweeps: list[Sweep] = []

    async def fill(self, count: int) -> None:
        """Have some more pictures."""
        jobs = [make_job(prompt=f"number {n}", seed=n, steps=1) for n in range(count)]
        for job in jobs:
            await self._attached.client.submit(job)
        for job in jobs:
            await self._attached.end_of(job)
            (picture,) = await self._attached.client.pictures(job.id)
            self.pictures[picture.id] = Path(picture.path)
            self.tags[picture.id] = set()

    def next(self, kind: str) -> ClientCommand:
        """One thing to do to some of them; they are as they should be after it."""
        shown = [one for one in self.pictures if one not in self.trashed]
        some = self._chance.sample(shown, min(3, len(shown)))
        match kind:
            case "trash":
                self.trashed |= set(some)
                return TrashPictures(pictures=some)
            case "restore":
                back = list(self.trashed)[:2]
                self.trashed -= set(back)
                return RestorePictures(pictures=back)
            case "empty":
                for one in self.trashed:
                    del self.pictures[one]
                self.trashed = set()
                return EmptyTrash()
            case "mark":
                name = f"tag-{self._chance.randrange(99)}"
                for one in some:
                    self.tags[one].add(name)
                return MarkPictures(pictures=some, favourite=True, add_tags=[name])
            case "export":
                return ExportPictures(pictures=some, folder=str(self._folder / "out"), metadata=some[0] % 2 == 0)
            case "sheet":
                return MakeContactSheet(pictures=some, path=str(self._folder / "out" / "sheet.png"))
            case "thumbnail":
                return Fetch(picture_id=some[0], width=100, height=100)
            case "sweep":
                axis = Axis(name="seed", values=["1", "2", "3"])
                self.sweeps.append(Sweep(id=new_job_id(), base=make_job(steps=1), axes=[axis]))
                return StartSweep(sweep=self.sweeps[-1])
            case _:
                return Rescan()

    async def count_losses(self) -> int:
        """Pictures that are nowhere, at two places, without their tags or half, and jobs of sweeps that are missing."""
        lost = 0
        found: dict[int, PictureInfo] = {}
        for trashed in (False, True):
            page = await self._attached.client.request(FindPictures(trashed=trashed, limit=1000))
            infos = msgspec.msgpack.decode(page, type=PicturePage).pictures
            for info in infos:
                found[info.picture.id] = info
                known = info.picture.id in self.pictures
                lost += known and (info.picture.id in self.trashed) != trashed
        for number, path in self.pictures.items():
            lost += path.exists() + trash_place(path).exists() != 1
            lost += number not in found or set(found[number].tags) != self.tags[number]
            lost += not await self._attached.client.fetch(number, 16, 16)
        for path in pictures_below(self._folder / "pictures"):
            lost += not path.name.startswith(".") and read_making(path) is None
        for path in pictures_below(self._folder / "out") if (self._folder / "out").exists() else []:
            if not path.name.startswith("."):
                with Image.open(path) as image:
                    image.load()
        for sweep in self.sweeps:
            answer = await self._attached.client.request(GetSweep(sweep_id=sweep.id))
            states = [cell.state for cell in msgspec.msgpack.decode(answer, type=SweepState).cells]
            lost += states.count("absent")
        return lost


KINDS = ("trash", "restore", "export", "mark", "thumbnail", "sweep", "sheet", "rescan", "trash", "empty")


async def test_the_engine_dies_while_it_handles_pictures(
    quick: QuickEngine, tmp_path: Path, tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    """The client asks again once there is another engine, as it does with whatever has no answer."""
    fault = tmp_path / "fault"
    environment = {"FAULT_FILE": str(fault), "LATENTTY_WATCH_MODELS": "false"}
    await asyncio.to_thread(quick.start, **environment)
    restarting = asyncio.create_task(restart(quick, **environment))
    attached = await quick.attach()
    album = Album(attached, chance, tmp_path)
    plan = [(kind, point) for _ in range(times(1, 12)) for kind in KINDS for point in chance.sample(POINTS, 5)]
    for kind, point in plan[:: times(12, 1)]:
        if len(album.pictures) - len(album.trashed) < 5:
            await album.fill(6)
        command = album.next(kind)
        new = fault.with_suffix(".new")
        new.write_text(f"{point}:{chance.randint(1, 3)}")
        new.rename(fault)
        boot = attached.watching.attached
        if isinstance(command, Fetch):
            await attached.client.fetch(command.picture_id, command.width, command.height)
        else:
            await attached.client.request(command)
        fault.unlink(missing_ok=True)
        tally.tried += 1
        tally.sums["deaths"] += attached.watching.attached != boot
        tally.lost += await album.count_losses()
    restarting.cancel()
    await asyncio.gather(restarting, return_exceptions=True)
    tally.note = (
        f"pictures thrown away, brought back, copied, marked, shown small, swept over: {len(album.pictures)} left"
    )
    assert tally.lost == 0
