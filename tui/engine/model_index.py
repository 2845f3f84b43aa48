"""The models that this engine knows, by name or path."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from tui.library.annotators import find_annotators
from tui.library.controlnets import find_controlnets, modes_of, read_controlnet, unknown_controlnet
from tui.library.lending import Lending
from tui.library.models import BUNDLED, find_models
from tui.library.single_files import open_model
from tui.protocol.events import AnnotatorInfo, ControlNetInfo, ModelInfo
from tui.protocol.job import Mode
from tui.protocol.library import ModelFile
from tui.protocol.problem import LatenttyError, Problem


class ModelIndex:
    """What the last scan found."""

    def __init__(self, folders: list[Path], find_lenders: Callable[[], list[Path]] = list) -> None:
        """`folders` hold models; what checkpoints in single files lack is searched for where `find_lenders` says."""
        self.folders = folders
        """Those of the settings."""
        self._find_lenders = find_lenders
        self._lending = Lending()
        self._fits: dict[tuple[str, str], dict[str, list[Mode]]] = {}
        self.models: Final[list[ModelInfo]] = []
        self.controlnets: Final[list[ControlNetInfo]] = []
        self.annotators: Final[list[AnnotatorInfo]] = []

    def scan(self, files: Sequence[ModelFile] = ()) -> None:
        """Look at the disk again; `files` are what the library knows of deeper folders and single files."""
        self.annotators[:] = find_annotators(self.folders)
        controls = [Path(file.path) for file in files if file.kind == "controlnet" and _is_sound(file)]
        self.controlnets[:] = find_controlnets(self.folders, controls)
        self._lending = self._look_around()
        checkpoints = [_described(file, self._lending) for file in files if _can_be_drawn_with(file)]
        self._fits.clear()
        self.models[:] = [self._with_controls(model) for model in find_models(self.folders, checkpoints)]

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

    def find_controlnet(self, name: str) -> ControlNetInfo:
        """The ControlNet called `name`, as its files are at this moment.

        Raises:
            LatenttyError: it is unknown, missing or damaged.
        """
        known = next((info for info in self.controlnets if info.name == name), None)
        if known is None:
            raise unknown_controlnet(name, self.controlnets)
        return replace(read_controlnet(Path(known.path)), name=known.name, bundled=known.bundled)

    def name_of(self, name: str) -> str:
        """The listed name for `name`, which may be a path; `name` itself when it is not listed."""
        path = str(_expanded(name).absolute())
        return next((model.name for model in self.models if name == model.name or path == model.path), name)

    def find(self, name: str) -> ModelInfo:
        """The model called `name`, or in the folder `name`, as its files are at this moment.

        Raises:
            LatenttyError: it is missing or damaged.
        """
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
        return ModelInfo(name=file.name, path=file.path, family=file.family, problem=error.problem)


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
