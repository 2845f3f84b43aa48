"""Another text encoder than a model's own: a folder of transformers', or a file with the weights alone."""

from pathlib import Path

from tui.library.gguf_header import GGUF, weights_header
from tui.library.loose_parts import bare
from tui.library.safetensors_header import Header
from tui.library.single_files import SingleFile, Variant
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.blueprint import Blueprint, Part
from tui.worker.encoder_file import MADE_UP, PROJECTION, EncoderFile, config_of, skeleton, transformers_names


def encoder_part(blueprint: Blueprint, path: Path) -> Part:
    """The text encoder at `path`, as the part of the model of `blueprint` whose place it can take.

    Raises:
        LatenttyError: it is missing or damaged, or the model has no text encoder like it.
    """
    own = [part for name, part in blueprint.parts.items() if part is not None and name.startswith("text_encoder")]
    if path.is_dir():
        place = next((one for one in (path, path / "text_encoder") if (one / "config.json").exists()), path)
        header = _joined(Part("", place, None).headers)
    else:
        header = weights_header(path)
    for part in own:
        if _shapes_of(part).items() <= _shapes_in(header, path, part).items():
            if path.is_dir():
                return Part(part.name, place, part.kind)
            variant = Variant(id="text encoder", family=blueprint.family.id, pipeline="", denoiser="")
            single = SingleFile(path=path, header=header, variant=variant, pack=part.folder.parent)
            return EncoderFile(part.name, part.folder, part.kind, single)
    raise _unusable(path, "this model has no text encoder with weights of these names and shapes")


def _shapes_in(header: Header, path: Path, part: Part) -> dict[str, tuple[int, ...]]:
    """What the file at `path` has, under the names that it would have in the place of `part`."""
    shapes = {name: tuple(tensor.shape) for name, tensor in header.tensors.items()}
    if path.suffix.lower() != GGUF:
        return {bare(name): shape for name, shape in shapes.items()}
    model = str(config_of(part).model_type)
    return {theirs: shape for name, shape in shapes.items() for theirs in transformers_names(name, model)}


def _joined(headers: list[Header]) -> Header:
    return Header(tensors={name: one for header in headers for name, one in header.tensors.items()}, metadata={})


def _shapes_of(part: Part) -> dict[str, tuple[int, ...]]:
    """What a file must have to take its place."""
    return {bare(name): shape for name, shape in skeleton(part).items() if not name.endswith((*MADE_UP, PROJECTION))}


def _unusable(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The text encoder {path} cannot be used: {why}.",
            hint="Choose one that was made for this model's family.",
        )
    )
