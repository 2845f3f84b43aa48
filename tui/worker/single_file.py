"""Checkpoints in a single file as the same parts that folders have, so that all else need not know."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import FluxTransformer2DModel, GGUFQuantizationConfig, ModelMixin
from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
from safetensors.torch import load_file

from tui.library.models import read_json
from tui.library.paths import configurations
from tui.library.safetensors_header import Header
from tui.library.single_files import (
    GGUF,
    PREFIX,
    SingleFile,
    family_of,
    index_of,
    names_of,
    read_single_file,
    scheduler_config_of,
)
from tui.library.token_counts import CLIP_TOKENIZER
from tui.worker.blueprint import Blueprint, Part, class_named, components_of, incomplete, read_blueprint
from tui.worker.flux_layout import in_diffusers_names
from tui.worker.mapped_gguf import mapped_gguf

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
        mine = {name: tensors[name] for name in self.headers[0].tensors}
        if self.kind is FluxTransformer2DModel:
            mine = in_diffusers_names({name.removeprefix(PREFIX): tensor for name, tensor in mine.items()})
        place, name = str(self.folder.parent), self.folder.name
        return self.kind.from_single_file(mine, config=place, subfolder=name, local_files_only=True, **how, **own)

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


@dataclass(frozen=True)
class SharedTokenizer(Part):
    """CLIP's tokenizer, whose vocabulary comes with the program."""

    pad_token: str

    def load(self) -> Any:
        """The tokenizer."""
        return self.kind.from_pretrained(self.folder, local_files_only=True, pad_token=self.pad_token)

    @cached_property
    def key(self) -> str:
        """Changes with what it pads with."""
        return f"{CLIP_TOKENIZER} {self.pad_token}"

    @property
    def changed(self) -> bool:
        """Never."""
        return False


def blueprint_of(path: Path, folders: Sequence[Path]) -> Blueprint:
    """The blueprint of the model at `path`, a diffusers folder or a checkpoint.

    Raises:
        LatenttyError: it is missing, damaged, or lacks what nothing in `folders` can lend.
    """
    if not path.is_file():
        return read_blueprint(path)
    single = read_single_file(path, folders)
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
    if single.holds(name):
        return FilePart(name, single.pack / name, kind, single)
    for place in (single.pack, single.lender):
        if place is not None and (place / name).is_dir() and _has_weights_or_needs_none(place / name):
            return Part(name, place / name, kind)
    if class_name == "CLIPTokenizer":
        # CLIP-L fills up with its end token, the OpenCLIP encoders of all later models with "!"
        open_clip = name == "tokenizer_2" or single.variant.id.startswith("stable-diffusion-2")
        return SharedTokenizer(name, configurations() / CLIP_TOKENIZER, kind, "!" if open_clip else "<|endoftext|>")
    raise incomplete(single.path, f"it lacks its {name}")


def _has_weights_or_needs_none(place: Path) -> bool:
    return place.name.startswith(("tokenizer", "processor")) or any(place.glob("*.safetensors"))
