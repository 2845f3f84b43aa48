"""A denoiser whose weights become 8 bits each as they are read: half the memory of half precision."""

from functools import cached_property
from typing import Any

import torch
from diffusers import TorchAoConfig
from safetensors.torch import load_file

from tui.worker.blueprint import Part
from tui.worker.single_file import FilePart


def in_eight_bits(part: Part) -> Part:
    """`part`, a denoiser in a folder or a file, to be read so."""
    if isinstance(part, FilePart):
        return EightBitFile(part.name, part.folder, part.kind, part.single)
    return EightBitFolder(part.name, part.folder, part.kind)


def _configuration() -> Any:
    # the extra's; acceptance has made sure that it is there
    from torchao.quantization import Int8WeightOnlyConfig

    return TorchAoConfig(Int8WeightOnlyConfig())


class EightBitFolder(Part):
    """One in a folder."""

    @cached_property
    def key(self) -> str:
        """Another than that of the weights as they are."""
        return f"int8 {Part(self.name, self.folder, self.kind).key}"

    def load(self, dtype: torch.dtype) -> Any:
        """Its module."""
        return self.kind.from_pretrained(
            self.folder,
            quantization_config=_configuration(),
            dtype=dtype,
            variant=self.variant,
            use_safetensors=True,
            local_files_only=True,
        )


class EightBitFile(FilePart):
    """One in a checkpoint."""

    @cached_property
    def key(self) -> str:
        """Another than that of the weights as they are."""
        return f"int8 {FilePart(self.name, self.folder, self.kind, self.single).key}"

    @property
    def quantised(self) -> bool:
        """It is."""
        return True

    def load(self, dtype: torch.dtype) -> Any:
        """Its module."""
        return self._from_tensors(load_file(self.single.path), quantization_config=_configuration(), dtype=dtype)
