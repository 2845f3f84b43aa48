"""ControlNets in a file alone, under the names of their authors or of diffusers."""

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from safetensors.torch import load_file

from tui.library.controlnets import controlnet_configuration
from tui.library.safetensors_header import read_header
from tui.library.single_files import SingleFile, Variant
from tui.worker.blueprint import Part, read_controlnet_part
from tui.worker.single_file import TORCH_DTYPES, OwnFile


class ControlFile(OwnFile):
    """A ControlNet in a file; its configuration is the one that comes with the program."""

    def load(self, dtype: torch.dtype) -> Any:
        """Its module; the weights are mapped, where they need no conversion."""
        del dtype  # as the file has them
        stored = TORCH_DTYPES.get(self.headers[0].dtype, torch.float32)
        return ControlNetModel.from_single_file(
            load_file(self.single.path),
            config=str(self.folder.parent),
            subfolder=self.folder.name,
            dtype=stored,
            local_files_only=True,
        )


def control_part(path: Path) -> Part:
    """The ControlNet at `path`, a folder or a file, as a part.

    Raises:
        LatenttyError: it is missing, damaged, or of no kind that we know.
    """
    if not path.is_file():
        return read_controlnet_part(path)
    place = controlnet_configuration(path)
    variant = Variant(id="controlnet", family="", pipeline="", denoiser="")
    single = SingleFile(path=path, header=read_header(path), variant=variant, pack=place.parent)
    return ControlFile("controlnet", place, ControlNetModel, single)
