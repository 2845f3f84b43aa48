"""One way in: a picture and an annotator's name, a control image out, made once."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from tui.library.annotators import annotator_problem
from tui.library.folders import make_folder
from tui.library.private_files import open_private
from tui.protocol.job import Annotator
from tui.protocol.problem import LatenttyError
from tui.worker.annotators import edges, model_based
from tui.worker.inputs import open_picture

DRAWN: Final[dict[Annotator, Callable[[Image.Image], Image.Image]]] = {
    "none": lambda picture: picture,
    "invert": edges.invert,
    "canny": edges.canny,
    "soft-edge": edges.soft_edge,
    "scribble": edges.scribble,
    "line-art": edges.line_art,
    "blur": edges.blur,
}
"""Annotators that need no model."""

SEEN: Final[dict[Annotator, Callable[[Image.Image, Sequence[Path]], Image.Image]]] = {
    "depth": model_based.depth,
    "normal": model_based.normal,
    "segmentation": model_based.segmentation,
    "pose": model_based.pose,
}
"""Annotators that look through a model from one of the user's model folders."""


def annotate(path: str, annotator: Annotator, cache: Path, model_folders: Sequence[Path]) -> Path:
    """The file with the control image that `annotator` makes of the picture at `path`; kept in the folder `cache`.

    Raises:
        LatenttyError: the picture cannot be opened, or what the annotator needs is not there.
    """
    if (problem := annotator_problem(annotator, model_folders)) is not None:
        raise LatenttyError(problem)
    picture = open_picture(path)
    digest = hashlib.sha256(annotator.encode() + str(picture.size).encode() + picture.tobytes()).hexdigest()[:32]
    made = cache / f"{annotator}-{digest}.png"
    if not made.exists():
        image = DRAWN[annotator](picture) if annotator in DRAWN else SEEN[annotator](picture, model_folders)
        make_folder(cache, 0o700)
        temporary = made.with_suffix(".part")
        with open(temporary, "wb", opener=open_private) as file:
            image.convert("RGB").save(file, format="PNG", compress_level=1)
        temporary.rename(made)
    return made
