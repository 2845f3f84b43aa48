"""The settings that the engine acts on. It alone writes them, and follows what is changed."""

import asyncio
from collections.abc import Iterable

from msgspec.structs import replace

from tui.engine.background import Background
from tui.engine.board import Board
from tui.engine.model_index import ModelIndex
from tui.engine.model_watch import ModelWatch
from tui.engine.pool import Pool
from tui.library.paths import Paths, short_path
from tui.library.prompt.wildcards import Wildcards
from tui.library.setting_fields import read_setting, told_settings
from tui.library.settings import Settings, load_settings, save_setting
from tui.protocol.commands import PinModel, SetBudget, WorkerCommand
from tui.protocol.events import KeptModels, SettingsRead


class SettingsInForce:
    """What is set now, and how a change of it reaches whom it concerns."""

    def __init__(
        self,
        now: Settings,
        *,
        paths: Paths,
        board: Board,
        models: ModelIndex,
        watch: ModelWatch,
        wildcards: Wildcards,
        pool: Pool,
        background: Background,
    ) -> None:
        self.now = now
        self._paths = paths
        self._board = board
        self._models = models
        self._watch = watch
        self._wildcards = wildcards
        self._pool = pool
        self._background = background

    def show(self) -> None:
        """Put them into the snapshot."""
        self._board.snapshot.kept = self._kept()
        self._board.snapshot.settings = told_settings(self.now)

    def first_orders(self) -> list[WorkerCommand]:
        """What a fresh worker must know before it is given work."""
        orders: list[WorkerCommand] = []
        if self.now.engine.memory_budget:
            orders.append(_budget(self.now))
        return orders + self._pin_orders(self.now.pinned_models)

    async def pin(self, name: str, *, pinned: bool) -> None:
        """The model stays on the device before others, or no longer.

        Raises:
            LatenttyError: there is none of that name.
        """
        model = await self._models.find(name)
        others = [one for one in self.now.pinned_models if one != model.name]
        await self._save_setting("pinned_models", [*others, model.name] if pinned else others)
        await self._pool.order(PinModel(model=model.name, path=model.path, pinned=pinned), start=False)

    async def set_autoload(self, name: str) -> None:
        """The model is loaded at the start of every engine; without a name, the one that was drawn with last.

        Raises:
            LatenttyError: there is none of that name.
        """
        known = (await self._models.find(name)).name if name else ""
        await self._save_setting("autoload_model", known)

    async def change(self, name: str, value: str) -> None:
        """Write a setting as its text says, and act on it.

        Raises:
            LatenttyError: there is no such setting, or it cannot be that.
        """
        await asyncio.to_thread(save_setting, self._paths, name, read_setting(name, value))
        await self._read()

    async def download_folder(self) -> str:
        """The first model folder; where there is none, one of our own becomes it, and is searched from now on."""
        folders = (await asyncio.to_thread(load_settings, self._paths)).models()
        if not folders:
            folders = [self._paths.models]
            await asyncio.to_thread(save_setting, self._paths, "model_folders", [short_path(folders[0])])
            await self._read()
        return str(folders[0].absolute())

    def pins_without_a_place(self) -> list[str]:
        """Names of pinned models of which it is not known where they are."""
        return [name for name in self.now.pinned_models if not self._models.path_of(name)]

    def pin_found(self, names: list[str]) -> None:
        """Have the worker told of those of `names` that were found since."""
        for order in self._pin_orders(names):
            self._background.begin(self._pool.order(order, start=False))

    async def _save_setting(self, name: str, value: str | list[str]) -> None:
        """Write a setting and act on it from now on; the environment goes on to win where it says something else."""
        await asyncio.to_thread(save_setting, self._paths, name, value)
        self.now = replace(self.now, **{name: value})
        self._tell_settings()

    async def _read(self) -> None:
        """Act on what the settings say now."""
        former, now = self.now, await asyncio.to_thread(load_settings, self._paths)
        self.now = now
        self._pool.use_settings(now.engine, now.pictures(self._paths))
        self._wildcards.folder = now.wildcards(self._paths)
        self._tell_settings()
        if (former.model_folders, former.compile_models) != (now.model_folders, now.compile_models):
            await self._pool.renew_worker()
        else:
            orders = self._pin_orders(sorted(set(former.pinned_models) ^ set(now.pinned_models)))
            if former.engine.memory_budget != now.engine.memory_budget:
                orders.append(_budget(now))
            for order in orders:
                self._background.begin(self._pool.order(order, start=False))
        if _looking(former) != _looking(now):
            self._background.begin(self._watch.look_elsewhere())

    def _pin_orders(self, names: Iterable[str]) -> list[WorkerCommand]:
        """Whether each of these models is pinned, for the worker; nothing of those that are nowhere."""
        places = {name: self._models.path_of(name) for name in names}
        pinned = self.now.pinned_models
        return [PinModel(model=name, path=path, pinned=name in pinned) for name, path in places.items() if path]

    def _tell_settings(self) -> None:
        self._board.tell(self._kept())
        self._board.tell(SettingsRead(values=told_settings(self.now)))

    def _kept(self) -> KeptModels:
        return KeptModels(pinned=self.now.pinned_models, autoload=self.now.autoload_model)


def _budget(settings: Settings) -> SetBudget:
    return SetBudget(bytes=round(settings.engine.memory_budget * (1 << 30)))


def _looking(settings: Settings) -> tuple[object, ...]:
    """Where models are looked for, and how."""
    return settings.model_folders, settings.other_programs, settings.watch_models, settings.hash_models
