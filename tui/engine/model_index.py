"""The models that this engine knows, by name or path."""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from tui.library.annotators import find_annotators
from tui.library.controlnets import find_controlnets, modes_of, read_controlnet, unknown_controlnet
from tui.library.lending import Lending
from tui.library.models import BUNDLED, find_models
from tui.library.single_files import open_model
from tui.protocol.events import AnnotatorInfo, ControlNetInfo, ModelInfo, ModelsFound
from tui.protocol.job import Mode
from tui.protocol.library import ModelFile
from tui.protocol.problem import LatenttyError, Problem


class ModelIndex:
    """What the last look at the disk found: of this engine, or until then, of the one before it."""

    def __init__(self, folders: list[Path], find_lenders: Callable[[], list[Path]] = list) -> None:
        """`folders` hold models; what checkpoints in single files lack is searched for where `find_lenders` says."""
        self.folders = folders
        """Those of the settings."""
        self._find_lenders = find_lenders
        self._lending = Lending()
        self._fits: dict[tuple[str, str], dict[str, list[Mode]]] = {}
        self._one_look = asyncio.Lock()
        self.looked = asyncio.Event()
        """The first look at the disk has come to its end; what is not known until then is waited for."""
        self.models: list[ModelInfo] = []
        self.controlnets: list[ControlNetInfo] = []
        self.annotators: list[AnnotatorInfo] = []

    # ---- looking -----------------------------------------------------------------------------------------------

    def restore(self, last: ModelsFound | None) -> None:
        """Begin with what the last engine found, and what comes with this program; nothing else is opened."""
        last = last or ModelsFound(models=[], controlnets=[], annotators=find_annotators([]))
        self.annotators = last.annotators
        nets = find_controlnets([])
        own = {net.name for net in nets}
        self.controlnets = [*nets, *(net for net in last.controlnets if not net.bundled and net.name not in own)]
        self.models = [
            self._with_controls(model) if model.bundled else model
            for model in find_models([], [model for model in last.models if not model.bundled])
        ]

    async def look(self, files: Sequence[ModelFile] = ()) -> bool:
        """Look at the disk again; whether anything has changed.

        `files` are what the library knows of deeper folders and single files.
        """
        async with self._one_look:
            former = self.found
            await asyncio.to_thread(self._look, files)
            self.looked.set()
            return self.found != former

    @property
    def found(self) -> ModelsFound:
        """All that is known."""
        return ModelsFound(models=self.models, controlnets=self.controlnets, annotators=self.annotators)

    def _look(self, files: Sequence[ModelFile]) -> None:
        annotators = find_annotators(self.folders)
        controls = [Path(file.path) for file in files if file.kind == "controlnet" and _is_sound(file)]
        controlnets = find_controlnets(self.folders, controls)
        lending = self._look_around()
        checkpoints = [_described(file, lending) for file in files if _can_be_drawn_with(file)]
        models = find_models(self.folders, checkpoints)
        self.annotators, self.controlnets, self._lending, self._fits = annotators, controlnets, lending, {}
        self.models = [self._with_controls(model) for model in models]

    def _look_around(self) -> Lending:
        return Lending([*self.folders, *self._find_lenders()])

    def _open(self, path: Path) -> ModelInfo:
        try:
            return open_model(path, self._lending)
        except LatenttyError:  # what it lacks may have come, or another lender have gone, since the last scan
            self._lending = self._look_around()
            return open_model(path, self._lending)

    def _with_controls(self, model: ModelInfo) -> ModelInfo:
        if model.problem is not None:
            return model
        alike = (model.family, model.configuration or model.path)  # hundreds of checkpoints have one configuration
        if alike not in self._fits:
            found = {info.name: modes_of(info, model) for info in self.controlnets}
            self._fits[alike] = {name: modes for name, modes in found.items() if modes}
        return replace(model, controls=self._fits[alike])

    # ---- asking ------------------------------------------------------------------------------------------------

    async def find_controlnet(self, name: str) -> ControlNetInfo:
        """The ControlNet called `name`, as its files are at this moment; waits like :meth:`find`.

        Raises:
            LatenttyError: it is unknown, missing or damaged.
        """
        await self.look_for(name)
        return await asyncio.to_thread(self._controlnet, name)

    async def look_for(self, *controlnets: str) -> None:
        """Wait for the first look at the disk where one of `controlnets` is not known."""
        if not {net.name for net in self.controlnets}.issuperset(controlnets):
            await self.looked.wait()

    def _controlnet(self, name: str) -> ControlNetInfo:
        known = next((info for info in self.controlnets if info.name == name), None)
        if known is None:
            raise unknown_controlnet(name, self.controlnets)
        return replace(read_controlnet(Path(known.path)), name=known.name, bundled=known.bundled)

    def name_of(self, name: str) -> str:
        """The listed name for `name`, which may be a path; `name` itself when it is not listed."""
        path = str(_expanded(name).absolute())
        return next((model.name for model in self.models if name == model.name or path == model.path), name)

    async def find(self, name: str) -> ModelInfo:
        """The model called `name`, or in the folder `name`, as its files are at this moment.

        One that is not known waits for the first look at the disk.

        Raises:
            LatenttyError: it is missing or damaged.
        """
        if "/" not in name and not self.path_of(name):
            await self.looked.wait()
        return await asyncio.to_thread(self._model, name)

    def _model(self, name: str) -> ModelInfo:
        known = next((model for model in self.models if model.name == self.name_of(name)), None)
        if known is None and "/" not in name:
            names = ", ".join(model.name for model in self.models)
            raise LatenttyError(
                Problem(
                    code="model_missing",
                    cause=f"There is no model called {name!r}.",
                    hint=f"Known are: {names}. A path to a model's folder works too.",
                )
            )
        model = self._open(Path(known.path) if known else _expanded(name))
        model = replace(model, name=known.name, bundled=known.bundled) if known else replace(model, name=model.path)
        return self._with_controls(model)

    def path_of(self, name: str) -> str:
        """The folder of the model called `name`; empty when there is none."""
        return next((model.path for model in self.models if model.name == name), "")

    @property
    def bundled(self) -> ModelInfo:
        """The model that comes with the program."""
        return next(model for model in self.models if model.name == BUNDLED)


def _described(file: ModelFile, lending: Lending) -> ModelInfo:
    try:
        return replace(open_model(Path(file.path), lending), name=file.name)
    except LatenttyError as error:
        problem = error.problem
        if error.problem.code == "model_missing" and file.problem is not None:
            problem = file.problem  # its name is not UTF-8, so that no path leads to it
        return ModelInfo(name=file.name, path=file.path, family=file.family, problem=problem)


def _can_be_drawn_with(file: ModelFile) -> bool:
    """Whether a file belongs among the models: a checkpoint that is sound, or a damaged folder that says why."""
    return (
        file.kind == "checkpoint"
        and file.form in ("folder", "safetensors", "gguf")
        and not (file.problem is not None and file.form != "folder")
    )


def _is_sound(file: ModelFile) -> bool:
    return file.form == "folder" or (file.form == "safetensors" and file.problem is None)


def _expanded(name: str) -> Path:
    # pathlib's own raises for a user that does not exist
    return Path(os.path.expanduser(name))  # noqa: PTH111
