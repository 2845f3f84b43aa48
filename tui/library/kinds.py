"""Kinds of model files in words."""

from collections.abc import Iterable, Mapping
from typing import Final

from tui.protocol.library import FileKind, ModelFile

_SEVERAL: Final[dict[str, str]] = {
    "checkpoint": "checkpoints",
    "lora": "LoRAs",
    "embedding": "embeddings",
    "vae": "VAEs",
    "controlnet": "ControlNets",
    "t2i-adapter": "T2I-Adapters",
    "ip-adapter": "IP-Adapters",
    "upscaler": "upscalers",
    "text encoder": "text encoders",
    "image encoder": "image encoders",
    "unknown": "of no use",
}
"""By kind, in the order in which they are told."""


def counted(counts: Mapping[FileKind, int] | Mapping[str, int]) -> str:
    """Such as "3 checkpoints, 12 LoRAs"."""
    told = {str(kind): count for kind, count in counts.items()}
    return ", ".join(f"{told[kind]:,} {several}" for kind, several in _SEVERAL.items() if told.get(kind))


def count_of(files: Iterable[ModelFile]) -> dict[FileKind, int]:
    """How many files there are of each kind."""
    counts: dict[FileKind, int] = {}
    for file in files:
        counts[file.kind] = counts.get(file.kind, 0) + 1
    return counts
