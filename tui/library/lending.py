"""What folders lend to checkpoints that lack something: diffusers models, and text encoders and VAEs in files."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from tui.library.families import family_of
from tui.library.loose_parts import files_below, find_loose
from tui.library.models import read_json
from tui.protocol.problem import LatenttyError


class Lending:
    """What lies below some folders, each of which is looked through once, when that is first needed.

    A home holds thousands of files and hundreds of checkpoints that ask for the same few of them. Make another to see
    what has changed. Safe to use from several threads.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._models: dict[Path, list[tuple[Path, str]]] = {}
        self._files: dict[Path, list[Path]] = {}
        self._wholes: dict[tuple[Path, Path], Path | None] = {}
        self._fitting: dict[tuple[Path, Path, str], list[Path]] = {}

    def models(self, families: Collection[str], beside: Path) -> Iterator[Path]:
        """Diffusers models of `families`; what lies in the folder `beside` the checkpoint comes first."""
        for folder in (beside, *self._folders):
            if folder not in self._models:
                self._models[folder] = list(_models_below(folder))
            yield from (place for place, family in self._models[folder] if family in families)

    def whole(self, pack: Path, beside: Path, is_whole: Callable[[Path], bool]) -> Path | None:
        """A checkpoint with all the parts whose configurations are in the folder `pack`, as `is_whole` says."""
        for folder in (beside, *self._folders):
            if (folder, pack) not in self._wholes:
                self._wholes[folder, pack] = next(filter(is_whole, self._files_below(folder)), None)
            if (found := self._wholes[folder, pack]) is not None:
                return found
        return None

    def _files_below(self, folder: Path) -> list[Path]:
        if folder not in self._files:
            self._files[folder] = list(files_below(folder))
        return self._files[folder]

    def file(self, part: str, pack: Path, beside: Path) -> Path | None:
        """A file with the weights of `part`, whose configuration is in the folder `pack`.

        Of several the largest: what others were made smaller from.

        Raises:
            LatenttyError: that configuration is damaged.
        """
        found = {path for folder in (beside, *self._folders) for path in self._fit(folder, pack, part)}
        return max(found, key=_size_and_name, default=None)

    def _fit(self, folder: Path, pack: Path, part: str) -> list[Path]:
        key = (folder, pack, part)
        if key not in self._fitting:
            config = read_json(pack, f"{part}/config.json")
            self._fitting[key] = find_loose(part, config, self._files_below(folder))
        return self._fitting[key]


def _size_and_name(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_size, str(path)
    except OSError:
        return 0, str(path)  # gone meanwhile


def _models_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Diffusers models up to three levels below `folder`, as a hub's cache is deep, with their families."""
    for depth in (1, 2, 3):
        for place in sorted(folder.glob(f"{'*/' * depth}model_index.json")):
            try:
                family = family_of(read_json(place.parent, "model_index.json"))
            except LatenttyError:
                continue  # a damaged model lends nothing
            if family is not None and _can_lend(place.parent):
                yield place.parent, family.id


def _can_lend(folder: Path) -> bool:
    """Whether a model has the weights of its text encoders and its VAE: a cache may hold its index alone."""
    places = [place for place in folder.iterdir() if place.name.startswith(("text_encoder", "vae"))]
    return bool(places) and all(any(place.glob("*.safetensors")) for place in places)
