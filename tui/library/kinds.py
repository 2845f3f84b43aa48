"""Kinds of model files in words."""

from collections.abc import Iterable, Mapping
from typing import Final

from tui.protocol.library import FileKind, ModelFile

_NAMES: Final[dict[str, tuple[str, str]]] = {
    "checkpoint": ("checkpoint", "checkpoints"),
    "lora": ("LoRA", "LoRAs"),
    "embedding": ("embedding", "embeddings"),
    "vae": ("VAE", "VAEs"),
    "controlnet": ("ControlNet", "ControlNets"),
    "t2i-adapter": ("T2I-Adapter", "T2I-Adapters"),
    "ip-adapter": ("IP-Adapter", "IP-Adapters"),
    "upscaler": ("upscaler", "upscalers"),
    "text encoder": ("text encoder", "text encoders"),
    "image encoder": ("image encoder", "image encoders"),
    "unknown": ("unknown", "of no use"),
}
"""One and several of a kind, in the order in which they are told."""


def named(kind: str) -> str:
    """What one of `kind` is called; other words stay as they are."""
    return _NAMES.get(kind, (kind, ""))[0]


def counted(counts: Mapping[FileKind, int] | Mapping[str, int]) -> str:
    """Such as "3 checkpoints, 12 LoRAs"."""
    told = {str(kind): count for kind, count in counts.items()}
    names = {kind: one if told.get(kind) == 1 else several for kind, (one, several) in _NAMES.items()}
    return ", ".join(f"{told[kind]:,} {name}" for kind, name in names.items() if told.get(kind))


def count_of(files: Iterable[ModelFile]) -> dict[FileKind, int]:
    """How many files there are of each kind."""
    counts: dict[FileKind, int] = {}
    for file in files:
        counts[file.kind] = counts.get(file.kind, 0) + 1
    return counts
