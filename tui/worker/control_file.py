"""ControlNets in a file alone, under the names of their authors or of diffusers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
from safetensors.torch import load_file

from tui.library.controlnets import file_configuration
from tui.library.models import read_json
from tui.library.safetensors_header import read_header
from tui.library.single_files import SingleFile, Variant
from tui.worker.blueprint import Part, class_named, read_controlnet_part
from tui.worker.single_file import TORCH_DTYPES, OwnFile

_SIZES: Final = {"label_emb.0.0": "add_embedding.linear_1", "label_emb.0.2": "add_embedding.linear_2"}
"""The layers of SDXL's that read the picture's sizes, which diffusers' own conversion leaves out."""


class ControlFile(OwnFile):
    """A ControlNet in a file; its configuration is one that comes with the program, and what its header says."""

    def load(self, dtype: torch.dtype) -> Any:
        """Its module; the weights are mapped, where they need no conversion."""
        del dtype  # as the file has them
        config, stored = self._config, TORCH_DTYPES.get(self.headers[0].dtype, torch.float32)
        with init_empty_weights():
            module = self.kind.from_config(config)
        tensors = _in_diffusers_names(load_file(self.single.path), config)
        own = {name: tensor for name, tensor in tensors.items() if name in module.state_dict()}
        module.load_state_dict({name: one.to(stored) for name, one in own.items()}, strict=False, assign=True)
        return module


def _in_diffusers_names(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    bare = {name.removeprefix("control_model."): tensor for name, tensor in tensors.items()}
    if "input_hint_block.0.weight" not in bare:
        return bare
    converted = {name: one for name, one in convert_controlnet_checkpoint(bare, config).items() if one is not None}
    for theirs, ours in _SIZES.items():
        for what in ("weight", "bias"):
            if f"{theirs}.{what}" in bare:
                converted[f"{ours}.{what}"] = bare[f"{theirs}.{what}"]
    return converted


def control_part(path: Path) -> Part:
    """The ControlNet at `path`, a folder or a file, as a part.

    Raises:
        LatenttyError: it is missing, damaged, or of no kind that we know.
    """
    if not path.is_file():
        return read_controlnet_part(path)
    place, told = file_configuration(path)
    kind = class_named(path, "diffusers", str(read_json(place, "config.json")["_class_name"]))
    variant = Variant(id="controlnet", family="", pipeline="", denoiser="controlnet", config=told)
    single = SingleFile(path=path, header=read_header(path), variant=variant, pack=place.parent)
    return ControlFile("controlnet", place, kind, single)
