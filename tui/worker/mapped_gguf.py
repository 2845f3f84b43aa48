"""The tensors of a GGUF file, mapped and not read."""

from pathlib import Path

import torch
from diffusers.quantizers.gguf.utils import GGUFParameter


def mapped_gguf(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in the file at `path`, by name: blocks of few bits as bytes that know their type.

    diffusers' own reader copies every one, which takes as much memory as the file is large.

    Raises:
        Exception: whatever the package gguf raises.
    """
    from gguf import GGMLQuantizationType, GGUFReader  # the extra's; acceptance has made sure that it is there

    plain = (GGMLQuantizationType.F32, GGMLQuantizationType.F16)
    read = {tensor.name: tensor for tensor in GGUFReader(path, "c").tensors}  # pages of our own, should one be written
    return {
        name: (
            torch.from_numpy(tensor.data)
            if tensor.tensor_type in plain
            else GGUFParameter(torch.from_numpy(tensor.data), quant_type=tensor.tensor_type)
        )
        for name, tensor in read.items()
    }
