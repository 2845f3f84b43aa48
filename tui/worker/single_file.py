"""Parts whose weights are some of those in a single file."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import (
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FluxTransformer2DModel,
    GGUFQuantizationConfig,
    ModelMixin,
)
from diffusers.loaders.single_file_utils import (
    convert_wan_vae_to_diffusers,
    create_diffusers_clip_model_from_ldm,
)
from safetensors.torch import load_file

from tui.library.gguf_header import GGUF
from tui.library.models import read_json
from tui.library.other_models import PREFIX
from tui.library.safetensors_header import Header
from tui.library.single_files import SingleFile, names_of
from tui.worker.blueprint import Part
from tui.worker.flux_layout import in_diffusers_names
from tui.worker.mapped_gguf import mapped_gguf
from tui.worker.scaled import unscaled

TORCH_DTYPES: Final = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F8_E4M3": torch.bfloat16,
    "F8_E5M2": torch.bfloat16,
}
"""What a file's weights are read as; 8 bits are stored in, not computed in."""

CHUNK: Final = 8 << 20


@dataclass(frozen=True)
class FilePart(Part):
    """A part whose weights are some of those in a checkpoint. Its folder is the one with its configuration."""

    single: SingleFile

    @cached_property
    def files(self) -> list[Path]:
        """The checkpoint."""
        return [self.single.path]

    @cached_property
    def headers(self) -> list[Header]:
        """One, of this part's weights alone."""
        whole = self.single.header
        mine = {name: whole.tensors[name] for name in names_of(whole, self.single.variant, self.name)}
        return [Header(tensors=mine, metadata={})]

    @cached_property
    def configuration(self) -> bytes:
        """Its config.json, and what this checkpoint says otherwise."""
        return json.dumps(self._config, sort_keys=True).encode()

    @property
    def _config(self) -> dict[str, Any]:
        own = self.single.variant.config if self.name == self.single.variant.denoiser else {}
        return read_json(self.folder, "config.json") | own

    @cached_property
    def key(self) -> str:
        """Changes when its class, its configuration or the checkpoint does."""
        found = self.single.path.stat()
        digest = hashlib.sha256(f"{self.kind.__qualname__}|{self.name}".encode())
        digest.update(self.configuration)
        digest.update(f"{self.single.path.resolve()}|{found.st_size}|{found.st_mtime_ns}|{found.st_ino}".encode())
        return digest.hexdigest()

    @property
    def quantised(self) -> bool:
        """Whether its weights stay as they are in the file, blocks of few bits, and are unpacked layer by layer."""
        return self.single.path.suffix.lower() == GGUF

    def load(self, dtype: torch.dtype) -> Any:
        """Its module; the weights are mapped, where they need no conversion. Nothing is fetched.

        Quantised weights are read whole; what they are unpacked to is `dtype`.

        Raises:
            Exception: whatever the libraries raise.
        """
        return self._load_quantised(dtype) if self.quantised else self._load_mapped()

    def _load_quantised(self, dtype: torch.dtype) -> Any:
        return self._from_tensors(
            mapped_gguf(self.single.path), quantization_config=GGUFQuantizationConfig(compute_dtype=dtype), dtype=dtype
        )

    def _from_tensors(self, tensors: dict[str, torch.Tensor], **how: Any) -> Any:
        own = self.single.variant.config if self.name == self.single.variant.denoiser else {}
        mine = unscaled({name: tensors[name] for name in self.headers[0].tensors})
        if self.name == "transformer":  # not all of diffusers' conversions know the prefix
            mine = {name.removeprefix(PREFIX): tensor for name, tensor in mine.items()}
        if self.kind is FluxTransformer2DModel:
            mine = in_diffusers_names(mine)
        if self.kind is AutoencoderKLFlux2:
            return self._built(mine)
        if self.kind is AutoencoderKLQwenImage:
            return self._built(convert_wan_vae_to_diffusers(mine) if "decoder.conv1.weight" in mine else mine)
        if "input_blocks.0.0.weight" in mine:  # a UNet alone; diffusers knows LDM's names behind their prefix
            mine = {f"{PREFIX}{name}": tensor for name, tensor in mine.items()}
        place, name = str(self.folder.parent), self.folder.name
        return self.kind.from_single_file(mine, config=place, subfolder=name, local_files_only=True, **how, **own)

    def _built(self, weights: dict[str, torch.Tensor]) -> Any:
        """The module of a class that diffusers reads from no single file, around `weights` in its own names."""
        with torch.device("meta"):
            module = self.kind.from_config(self._config)
        module.load_state_dict(weights, strict=False, assign=True)
        return module.eval().requires_grad_(False)

    def _load_mapped(self) -> Any:
        tensors = load_file(self.single.path)
        dtype = TORCH_DTYPES.get(self.headers[0].dtype, torch.float32)
        if issubclass(self.kind, ModelMixin):
            return self._from_tensors(tensors, dtype=dtype)
        place, name = str(self.folder.parent), self.folder.name
        return create_diffusers_clip_model_from_ldm(
            self.kind, tensors, subfolder=name, config=place, torch_dtype=dtype, local_files_only=True
        )

    def same_bytes(self, other: "FilePart") -> bool:
        """Whether the weights of `other`, which has the same shape, are these, byte for byte."""
        with self.single.path.open("rb") as mine, other.single.path.open("rb") as theirs:
            for (start, size), (other_start, _) in zip(self._ranges(), other._ranges(), strict=True):
                mine.seek(start)
                theirs.seek(other_start)
                for done in range(0, size, CHUNK):
                    count = min(CHUNK, size - done)
                    if mine.read(count) != theirs.read(count):
                        return False
        return True

    def _ranges(self) -> Iterator[tuple[int, int]]:
        """Where each weight lies in the checkpoint, and its bytes, in the order of their names."""
        begin = self.single.path.stat().st_size - self.single.header.bytes
        for _, tensor in sorted(self.headers[0].tensors.items()):
            yield begin + tensor.data_offsets[0], tensor.bytes


class OwnFile(FilePart):
    """A part in a file of its own; its configuration is another's."""

    @cached_property
    def headers(self) -> list[Header]:
        """One, of all that is in it."""
        return [self.single.header]
