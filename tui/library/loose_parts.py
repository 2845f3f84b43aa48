"""Text encoders and VAEs in files of their own, as users of ComfyUI and Forge keep them beside a transformer alone.

A file is told from others by what its header must have for the configuration whose weights it is to hold.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from tui.library.gguf_header import weights_header
from tui.library.listing import is_tellable
from tui.library.safetensors_header import Header
from tui.protocol.problem import LatenttyError

DEPTH: Final = 4
"""Folders below a model folder that are looked into."""

SCALING: Final = 0.18215
"""Of Stable Diffusion's latents, where a configuration does not tell."""
XL_SCALING: Final = 0.15
"""Below it lies the factor by which SDXL's latents are scaled, above it Stable Diffusion's."""

FLUX2_CHANNELS: Final = 32
"""Of the latents of FLUX.2's VAE alone."""

KNOWN_HEADERS: Final = 4096

PREFIXES: Final = (
    *("text_model.", "transformer.", "model.", "language_model.", "first_stage_model.", "vae."),
    *("text_encoders.clip_l.", "text_encoders.clip_g.", "text_encoders.t5xxl.", "text_encoders.qwen3_4b."),
)
"""What some writers put before the same names, and others leave out."""


class _Kind(Struct, frozen=True):
    """One class of text encoder."""

    label: str
    """As users know its file."""
    width: str
    """What the configuration calls the width of its rows."""
    layers: str
    rows: tuple[str, ...]
    """The names of its vocabulary."""
    layer: re.Pattern[str]
    """The names of its layers, and their number."""


_ENCODERS: Final = {
    "clip_text_model": _Kind(
        "CLIP (such as clip_l.safetensors)", "hidden_size", "num_hidden_layers",
        ("embeddings.token_embedding.weight",), re.compile(r"^encoder\.layers\.(\d+)\."),
    ),
    "t5": _Kind(
        "T5 (such as t5xxl_fp16.safetensors)", "d_model", "num_layers",
        ("shared.weight", "encoder.embed_tokens.weight", "token_embd.weight"),
        re.compile(r"^(?:encoder\.block|enc\.blk)\.(\d+)\."),
    ),
    "qwen3": _Kind(
        "Qwen3 (such as qwen_3_4b.safetensors)", "hidden_size", "num_hidden_layers",
        ("embed_tokens.weight", "token_embd.weight"), re.compile(r"^(?:layers|blk)\.(\d+)\."),
    ),
    "qwen2_5_vl": _Kind(
        "Qwen2.5-VL (such as qwen_2.5_vl_7b.safetensors)", "hidden_size", "num_hidden_layers",
        ("embed_tokens.weight",), re.compile(r"^layers\.(\d+)\."),
    ),
}  # fmt: skip
"""By what a configuration calls its model."""

_VAE_LABEL: Final = "VAE (such as ae.safetensors)"
_FLUX2_VAE_LABEL: Final = "VAE (such as flux2-vae.safetensors)"
_FILM_VAE_LABEL: Final = "VAE (such as qwen_image_vae.safetensors)"
_VAE_NAME: Final = re.compile(r"vae|(?:^|[^a-z])ae(?:[^a-z]|$)")
_ENCODER_NAME: Final = re.compile(r"clip|t5|qwen|text|encoder|(?:^|[^a-z])te(?:[^a-z]|$)")
_OTHER_LATENTS: Final = re.compile(r"sd3|sd_3|sd-3|wan|qwen|hunyuan|flux[-_.]?2")
"""Names of VAEs that have the shape of FLUX.1's and other numbers in it."""
_NOT_OF_SD3: Final = re.compile(r"flux|wan|qwen|hunyuan|(?:^|[^a-z])ae(?:[^a-z]|$)")
"""The same for Stable Diffusion 3's, by whose scale its latents are told from FLUX.1's."""
_NOT_QWENS: Final = re.compile(r"wan|hunyuan|flux")
"""The same for Qwen-Image's, which has the shape of Wan's."""


def label_of(part: str, config: Mapping[str, Any]) -> str:
    """How users call a file with the weights of `part`."""
    kind = _ENCODERS.get(str(config.get("model_type", "")))
    vae = _FILM_VAE_LABEL if config.get("z_dim") else _VAE_LABEL
    vae = _FLUX2_VAE_LABEL if config.get("latent_channels") == FLUX2_CHANNELS else vae
    return kind.label if kind else vae if part == "vae" else part


def find_loose(part: str, config: Mapping[str, Any], files: Iterable[Path]) -> list[Path]:
    """Those of `files` that hold the weights of `part`, which has the configuration `config`."""
    name = _VAE_NAME if part == "vae" else _ENCODER_NAME
    fits = is_vae if part == "vae" else takes_its_place
    found: list[Path] = []
    for path in files:
        if name.search(f"{path.parent.name}/{path.name}".lower()):
            header = sound_header(path)
            if header is not None and fits(header, config):
                found.append(path)
    if part == "vae" and config.get("latent_channels") != FLUX2_CHANNELS:
        other = _NOT_OF_SD3 if float(config.get("scaling_factor") or SCALING) > 1 else _OTHER_LATENTS
        other = _NOT_QWENS if config.get("z_dim") else other
        found = [path for path in found if not other.search(path.name.lower())]
        if config.get("latent_channels") == 4:  # SDXL's has the shape of Stable Diffusion's, and other numbers in it
            of_xl = float(config.get("scaling_factor") or SCALING) < XL_SCALING
            found = [path for path in found if ("xl" in path.name.lower()) == of_xl]
    return found


def bare(name: str) -> str:
    """`name` without what some writers put before it."""
    while prefix := next((one for one in PREFIXES if name.startswith(one)), ""):
        name = name.removeprefix(prefix)
    return name


def is_known_encoder(config: Mapping[str, Any]) -> bool:
    """Whether a file with the weights of such a text encoder is known by its header."""
    return config.get("model_type") in _ENCODERS


def takes_its_place(header: Header, config: Mapping[str, Any]) -> bool:
    """Whether a file with this header holds the weights of a text encoder that is configured so."""
    kind = _ENCODERS.get(str(config.get("model_type", "")))
    if kind is None:
        return False
    shapes = {bare(name): tensor.shape for name, tensor in header.tensors.items()}
    rows = next((shapes[name] for name in kind.rows if name in shapes), None)
    layers = {found[1] for found in map(kind.layer.match, shapes) if found}
    return rows == [config.get("vocab_size"), config.get(kind.width)] and len(layers) == config.get(kind.layers)


def is_vae(header: Header, config: Mapping[str, Any]) -> bool:
    """Whether a file with this header holds the weights of a VAE that is configured so."""
    shapes = {bare(name): tensor.shape for name, tensor in header.tensors.items()}
    if config.get("z_dim"):  # of a family that makes films as well, under its authors' names or diffusers'
        first = shapes.get("decoder.conv1.weight") or shapes.get("decoder.conv_in.weight") or []
        return first[1:] == [config["z_dim"], 3, 3, 3]
    levels = config.get("block_out_channels") or [0]
    return shapes.get("decoder.conv_in.weight") == [levels[-1], config.get("latent_channels"), 3, 3]


def files_below(folder: Path) -> Iterator[Path]:
    """The files of weights below `folder`."""
    base = len(folder.parts)
    for place, below, names in os.walk(folder):
        if len(Path(place).parts) - base >= DEPTH:
            below.clear()
        for name in sorted(names):
            if name.lower().endswith((".safetensors", ".sft", ".gguf")) and is_tellable(Path(place, name)):
                yield Path(place) / name


def sound_header(path: Path) -> Header | None:
    """Its header; None for a file that is damaged, which lends nothing."""
    try:
        found = path.stat()
        return _read(path, found.st_size, found.st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=KNOWN_HEADERS)
def _read(path: Path, size: int, changed: int) -> Header | None:
    del size, changed  # what is known of another version does not count
    try:
        return weights_header(path)
    except LatenttyError:
        return None
