"""The blueprint of a model: of its folder, or of a checkpoint in a single file and what goes with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tui.library.gguf_header import weights_header
from tui.library.lending import Lending
from tui.library.single_files import (
    SingleFile,
    Variant,
    family_of,
    index_of,
    read_single_file,
    scheduler_config_of,
)
from tui.worker.blueprint import Blueprint, Part, class_named, components_of, incomplete, read_blueprint
from tui.worker.encoder_file import EncoderFile, EncoderInside
from tui.worker.shared_tokenizers import shared_tokenizer
from tui.worker.single_file import FilePart, OwnFile

_LDM: Final = ("stable-diffusion", "stable-diffusion-xl", "stable-diffusion-xl-refiner")
"""The families whose text encoders have names in checkpoints that only diffusers converts."""


def blueprint_of(path: Path, folders: Sequence[Path]) -> Blueprint:
    """The blueprint of the model at `path`, a diffusers folder or a checkpoint.

    Raises:
        LatenttyError: it is missing, damaged, or lacks what nothing in `folders` can lend.
    """
    if not path.is_file():
        return read_blueprint(path)
    single = read_single_file(path, Lending(folders))
    index = index_of(single)
    parts = {name: entry and _part(single, name, *entry) for name, entry in components_of(index).items()}
    return Blueprint(
        path=path,
        family=family_of(single),
        saved_as=single.variant.pipeline,
        parts=parts,
        config={
            name: value
            for name, value in index.items()
            if not name.startswith("_") and name not in parts and name != "scheduler"
        },
        scheduler_config=scheduler_config_of(single),
    )


def _part(single: SingleFile, name: str, library: str, class_name: str) -> Part:
    kind = class_named(single.path, library, class_name)
    for one in (single, single.donor):
        if one is not None and one.holds(name):
            own_names = name.startswith("text_encoder") and one.variant.family not in _LDM
            return (EncoderInside if own_names else FilePart)(name, one.pack / name, kind, one)
    if name in single.loose:
        return _loose(single, name, kind)
    for place in (single.pack, single.lender):
        if place is not None and (place / name).is_dir() and _has_weights_or_needs_none(place / name):
            return Part(name, place / name, kind)
    open_clip = name == "tokenizer_2" or single.variant.id.startswith("stable-diffusion-2")
    tokenizer = shared_tokenizer(name, kind, open_clip=open_clip)
    if tokenizer is None:
        raise incomplete(single.path, f"it lacks its {name}")
    return tokenizer


def _loose(single: SingleFile, name: str, kind: Any) -> Part:
    """The part `name` in a file of its own."""
    path = single.loose[name]
    variant = Variant(id=name, family=single.variant.family, pipeline="", denoiser="")
    own = SingleFile(path=path, header=weights_header(path), variant=variant, pack=single.pack)
    return (OwnFile if name == "vae" else EncoderFile)(name, single.pack / name, kind, own)


def _has_weights_or_needs_none(place: Path) -> bool:
    return place.name.startswith(("tokenizer", "processor")) or any(place.glob("*.safetensors"))
