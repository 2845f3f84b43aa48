"""What annotators there are, and which of them work with what lies in the user's model folders."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from msgspec import Struct

from tui.library.bounded import read_small
from tui.library.listing import matches
from tui.protocol.events import AnnotatorInfo
from tui.protocol.job import ANNOTATORS, Annotator
from tui.protocol.problem import LatenttyError, Problem

MAX_JSON: Final = 1_000_000
"""Bytes of the largest configuration file that is looked into."""


class Seer(Struct, frozen=True, kw_only=True):
    """A kind of model that an annotator looks through, and one that would do."""

    what: str
    types: frozenset[str]
    """`model_type`s in its config.json."""
    example: str


DEPTH: Final = Seer(
    what="depth",
    types=frozenset({"depth_anything", "dpt", "zoedepth", "glpn", "depth_pro"}),
    example="Depth-Anything-V2-Small-hf",
)
SEGMENTATION: Final = Seer(
    what="segmentation",
    types=frozenset({"segformer", "upernet", "mask2former", "oneformer"}),
    example="segformer-b0-finetuned-ade-512-512",
)
POSE: Final = Seer(what="pose", types=frozenset({"vitpose"}), example="vitpose-base-simple")
PEOPLE: Final = Seer(
    what="people detection",
    types=frozenset({"rt_detr", "rt_detr_v2", "d_fine", "detr", "yolos"}),
    example="rtdetr_r18vd",
)

NEEDS: Final[dict[Annotator, tuple[Seer, ...]]] = {
    "depth": (DEPTH,),
    "normal": (DEPTH,),
    "segmentation": (SEGMENTATION,),
    "pose": (PEOPLE, POSE),
}
"""The models that an annotator looks through; the others need none."""

PACKAGES: Final[dict[Annotator, str]] = {"pose": "scipy"}
"""A package beyond the usual that an annotator needs; the extra that installs it is called like the annotator."""


def find_annotators(folders: Sequence[Path]) -> list[AnnotatorInfo]:
    """Every annotator; one that cannot work here carries its problem, which names the file that it wants."""
    return [AnnotatorInfo(name=name, problem=annotator_problem(name, folders)) for name in ANNOTATORS]


def annotator_problem(name: Annotator, folders: Sequence[Path]) -> Problem | None:
    """Why the annotator cannot work here; None when it can."""
    package = PACKAGES.get(name)
    if package is not None and find_spec(package) is None:
        return Problem(
            code="model_missing",
            cause=f"The annotator {name} needs the package {package}, which is not installed.",
            hint=f"Install it: pip install 'latentty[{name}]'",
        )
    for seer in NEEDS.get(name, ()):
        try:
            find_seer(seer, folders)
        except LatenttyError as error:
            return error.problem
    return None


def find_seer(seer: Seer, folders: Sequence[Path]) -> Path:
    """The folder of a model that is a `seer`, one level below one of `folders`.

    Raises:
        LatenttyError: there is none; the hint names one that would do.
    """
    for folder in folders:
        for path in matches(folder, "*/config.json"):
            if _model_type(path) in seer.types and any(path.parent.glob("*.safetensors")):
                return path.parent
    places = ", ".join(str(folder) for folder in folders) or "a folder that model_folders names"
    raise LatenttyError(
        Problem(
            code="model_missing",
            cause=f"The annotator needs a model for {seer.what}, and none was found.",
            hint=f"Put one, such as {seer.example} with its safetensors, into {places}.",
        )
    )


def _model_type(path: Path) -> str:
    try:
        config = json.loads(read_small(path, MAX_JSON))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(config.get("model_type", "")) if isinstance(config, dict) else ""
