"""Processors whose ready-made form wants torchvision for films: built from their parts, which do without it."""

from pathlib import Path
from typing import Any

from transformers import PixtralProcessor, PreTrainedTokenizerFast, Qwen2VLProcessor, Qwen3VLProcessor


class _WithoutFilms:
    """A processor without its part for films."""

    @classmethod
    def get_attributes(cls) -> list[str]:
        """The parts that it consists of."""
        return ["image_processor", "tokenizer"]


class PicturesAndText(_WithoutFilms, Qwen2VLProcessor):  # type: ignore[misc]
    """Qwen2-VL's."""


class LaterPicturesAndText(_WithoutFilms, Qwen3VLProcessor):  # type: ignore[misc]
    """Qwen3-VL's, for Qwen-Image 2.1."""


def load_processor_of(kind: Any, place: Path) -> Any:
    """The tokenizer or processor of class `kind` in the folder `place`."""
    if issubclass(kind, Qwen2VLProcessor):
        kind = PicturesAndText
    elif issubclass(kind, Qwen3VLProcessor):
        kind = LaterPicturesAndText
    elif issubclass(kind, PixtralProcessor):
        kind = PreTrainedTokenizerFast  # FLUX.2 asks its processor for nothing but the chat template
    return kind.from_pretrained(place, local_files_only=True)
