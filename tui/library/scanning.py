"""Looking through folders for models, one after another, so that whoever looks can stop, count and save between two."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tui.library.identify import PICKLES, SUFFIXES, identify_file, identify_folder
from tui.library.listing import is_tellable, told_path
from tui.library.places import Place
from tui.protocol.library import ModelFile
from tui.protocol.problem import Problem

MAX_DEPTH: Final = 12
MIN_PICKLE: Final = 4096
"""Bytes below which a file with a pickle's ending is no model, such as a training state."""

_WEIGHTS: Final = (".safetensors", ".sft", ".gguf")


class Candidate(Struct, frozen=True, kw_only=True):
    """Something that may be a model, and by what a change of it is noticed."""

    path: Path
    place: str
    folder: bool
    stamp: str
    """Of its files: sizes, times and names."""

    @property
    def told(self) -> str:
        """Its path as text that is UTF-8 and no other file's."""
        return told_path(self.path)


def candidates(places: list[Place]) -> Iterator[Candidate]:
    """What may be a model below `places`, each folder once. No file is opened; what cannot be read holds nothing."""
    seen: set[tuple[int, int]] = set()
    for place in places:
        for folder, inside, names in os.walk(place.path, followlinks=True):
            here = Path(folder)
            depth = len(here.relative_to(place.path).parts)
            inside[:] = sorted(name for name in inside if not name.startswith(".") and name != "blobs")
            if depth >= MAX_DEPTH or _met(here, seen):
                inside.clear()
                continue
            if "model_index.json" in names:
                inside.clear()
                yield Candidate(path=here, place=place.owner, folder=True, stamp=_stamp_of_model(here))
                continue
            weights = [name for name in names if name.lower().endswith(_WEIGHTS)]
            if "config.json" in names and weights:
                found = _stamps(here, ["config.json", *weights])
                yield Candidate(path=here, place=place.owner, folder=True, stamp=";".join(found))
            yield from _files(here, names, place.owner)


def _files(folder: Path, names: list[str], owner: str) -> Iterator[Candidate]:
    whole = "config.json" in names
    for name in sorted(names):
        path = folder / name
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES or name.startswith("."):
            continue
        if whole and suffix in _WEIGHTS:
            continue  # looked at with the folder
        try:
            found = path.stat()
        except OSError:
            continue  # gone, or a link to nothing
        if suffix in PICKLES and found.st_size < MIN_PICKLE:
            continue
        yield Candidate(path=path, place=owner, folder=False, stamp=f"{found.st_size}:{found.st_mtime_ns}")


def _met(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether `folder` was looked through already, by another way; links can lead back to a folder above as well."""
    try:
        found = folder.stat()
    except OSError:
        return True
    here = (found.st_dev, found.st_ino)
    if here in seen:
        return True
    seen.add(here)
    return False


def _stamp_of_model(folder: Path) -> str:
    places = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())] if os.access(folder, os.R_OK) else []
    return ";".join(
        text
        for place in places
        for text in _stamps(place, sorted(one.name for one in place.iterdir() if one.is_file()))
    )


def _stamps(folder: Path, names: list[str]) -> list[str]:
    found = []
    for name in names:
        try:
            told = (folder / name).stat()
        except OSError:
            continue  # gone meanwhile
        found.append(f"{told_path(name)}:{told.st_size}:{told.st_mtime_ns}")
    return found


def look_at(candidate: Candidate) -> list[ModelFile]:
    """What a candidate is; a folder that is no model itself may hold files that are."""
    return [_as_can_be_told(file) for file in _look(candidate)]


def _look(candidate: Candidate) -> list[ModelFile]:
    path, place = candidate.path, candidate.place
    if not candidate.folder:
        return [identify_file(path, place)]
    whole = identify_folder(path, place)
    if whole is not None:
        return [whole]
    try:
        inside = sorted(one for one in path.iterdir() if one.suffix.lower() in _WEIGHTS)
    except OSError:
        return []
    return [identify_file(one, place) for one in inside if one.is_file()]


def _as_can_be_told(file: ModelFile) -> ModelFile:
    """`file`; one whose name is not UTF-8 with the reason why it cannot be used, for no job could name it."""
    path = Path(file.path)
    if is_tellable(path):
        return file
    problem = Problem(
        code="model_damaged",
        cause=f"{told_path(path)} cannot be used: its name, or a folder's, is not UTF-8.",
        hint="Rename it, or have all such names converted: convmv -f latin1 -t utf8 -r --notest FOLDER.",
    )
    return replace(file, path=told_path(path), name=told_path(file.name), preview="", problem=problem)


def changed(found: Mapping[str, Candidate], known: Mapping[str, str]) -> list[Candidate]:
    """Those of `found` that are new, or whose stamp is not the one in `known`, both by path."""
    return [one for path, one in found.items() if known.get(path) != one.stamp]
