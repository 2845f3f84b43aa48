"""Another text encoder than a model's own: a folder of transformers', or a file with the weights alone."""

from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file

from tui.library.safetensors_header import Header, read_header
from tui.library.single_files import SingleFile, Variant
from tui.protocol.problem import LatenttyError, Problem
from tui.worker.blueprint import Blueprint, Part
from tui.worker.single_file import TORCH_DTYPES, OwnFile

_PREFIXES = ("text_model.", "transformer.", "model.", "language_model.")
"""What some writers put before the same names, and others leave out."""

_MADE_UP = ("position_ids", "embed_tokens.weight")
"""Weights that files may leave out: counted up, or the same as others."""


class EncoderFile(OwnFile):
    """A text encoder in a file of its own; its configuration is that of the one whose place it takes."""

    def load(self, dtype: torch.dtype) -> Any:
        """Its module, with the file's weights under the names that its class has."""
        del dtype  # as the file has them
        names = _names_of(self)
        read = {_bare(name): tensor for name, tensor in load_file(self.single.path).items()}
        tensors = {name: read[bare] for bare, name in names.items() if bare in read}
        stored = TORCH_DTYPES.get(self.headers[0].dtype, torch.float32)
        return self.kind.from_pretrained(
            None, config=_config_of(self), state_dict=tensors, dtype=stored, local_files_only=True
        )


def encoder_part(blueprint: Blueprint, path: Path) -> Part:
    """The text encoder at `path`, as the part of the model of `blueprint` whose place it can take.

    Raises:
        LatenttyError: it is missing or damaged, or the model has no text encoder like it.
    """
    own = [part for name, part in blueprint.parts.items() if part is not None and name.startswith("text_encoder")]
    if path.is_dir():
        place = next((one for one in (path, path / "text_encoder") if (one / "config.json").exists()), path)
        header = _joined(Part("", place, None).headers)
    elif path.suffix == ".safetensors":
        header = read_header(path)
    else:
        raise _unusable(path, "only safetensors files and folders are opened")
    shapes = {_bare(name): tuple(tensor.shape) for name, tensor in header.tensors.items()}
    for part in own:
        if _shapes_of(part).items() <= shapes.items():
            if path.is_dir():
                return Part(part.name, place, part.kind)
            variant = Variant(id="text encoder", family=blueprint.family.id, pipeline="", denoiser="")
            single = SingleFile(path=path, header=header, variant=variant, pack=part.folder.parent)
            return EncoderFile(part.name, part.folder, part.kind, single)
    raise _unusable(path, "this model has no text encoder with weights of these names and shapes")


def _joined(headers: list[Header]) -> Header:
    return Header(tensors={name: one for header in headers for name, one in header.tensors.items()}, metadata={})


def _bare(name: str) -> str:
    """`name` without what some writers put before it."""
    while prefix := next((one for one in _PREFIXES if name.startswith(one)), ""):
        name = name.removeprefix(prefix)
    return name


def _config_of(part: Part) -> Any:
    return part.kind.config_class.from_pretrained(part.folder, local_files_only=True)


def _skeleton(part: Part) -> dict[str, tuple[int, ...]]:
    with init_empty_weights():
        module = part.kind(_config_of(part))
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _names_of(part: Part) -> dict[str, str]:
    """The names of the weights in its class, by what they are called without prefixes."""
    return {_bare(name): name for name in _skeleton(part)}


def _shapes_of(part: Part) -> dict[str, tuple[int, ...]]:
    """What a file must have to take its place."""
    return {_bare(name): shape for name, shape in _skeleton(part).items() if not name.endswith(_MADE_UP)}


def _unusable(path: Path, why: str) -> LatenttyError:
    return LatenttyError(
        Problem(
            code="model_damaged",
            cause=f"The text encoder {path} cannot be used: {why}.",
            hint="Choose one that was made for this model's family.",
        )
    )
