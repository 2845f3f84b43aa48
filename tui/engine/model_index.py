"""The models that this engine knows, by name or path."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from tui.library.annotators import find_annotators
from tui.library.controlnets import find_controlnets, modes_of, read_controlnet, unknown_controlnet
from tui.library.models import BUNDLED, find_models
from tui.library.single_files import open_model
from tui.protocol.events import AnnotatorInfo, ControlNetInfo, ModelInfo
from tui.protocol.library import ModelFile
from tui.protocol.problem import LatenttyError, Problem


class ModelIndex:
    """What the last scan found."""

    def __init__(self, folders: list[Path], find_lenders: Callable[[], list[Path]] = list) -> None:
        """`folders` hold models; what checkpoints in single files lack is searched for where `find_lenders` says."""
        self.folders = folders
        """Those of the settings."""
        self._find_lenders = find_lenders
        self.models: Final[list[ModelInfo]] = []
        self.controlnets: Final[list[ControlNetInfo]] = []
        self.annotators: Final[list[AnnotatorInfo]] = []

    def scan(self, files: Sequence[ModelFile] = ()) -> None:
        """Look at the disk again; `files` are what the library knows of deeper folders and single files."""
        self.annotators[:] = find_annotators(self.folders)
        controls = [Path(file.path) for file in files if file.kind == "controlnet" and _is_sound(file)]
        self.controlnets[:] = find_controlnets(self.folders, controls)
        lenders = self._lenders
        checkpoints = [_described(file, lenders) for file in files if _can_be_drawn_with(file)]
        self.models[:] = [self._with_controls(model) for model in find_models(self.folders, checkpoints)]

    @property
    def _lenders(self) -> list[Path]:
        return [*self.folders, *self._find_lenders()]

    def _with_controls(self, model: ModelInfo) -> ModelInfo:
        found = {info.name: modes_of(info, model) for info in self.controlnets}
        return replace(model, controls={name: modes for name, modes in found.items() if modes})

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
        model = open_model(Path(known.path) if known else _expanded(name), self._lenders)
        model = replace(model, name=known.name, bundled=known.bundled) if known else replace(model, name=model.path)
        return self._with_controls(model)

    def path_of(self, name: str) -> str:
        """The folder of the model called `name`; empty when there is none."""
        return next((model.path for model in self.models if model.name == name), "")

    @property
    def bundled(self) -> ModelInfo:
        """The model that comes with the program."""
        return next(model for model in self.models if model.name == BUNDLED)


def _described(file: ModelFile, lenders: Sequence[Path]) -> ModelInfo:
    try:
        return replace(open_model(Path(file.path), lenders), name=file.name)
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
