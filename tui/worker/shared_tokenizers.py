"""Tokenizers whose vocabulary comes with the program, for models in files that hold none."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from transformers import (
    CLIPTokenizer,
    PreTrainedTokenizerBase,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    T5Tokenizer,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tui.library.paths import configurations
from tui.library.token_counts import CLIP_TOKENIZER, QWEN_TOKENIZER, T5_TOKENIZER
from tui.worker.blueprint import Part
from tui.worker.processors import PicturesAndText

FOLDERS: Final = {
    CLIPTokenizer: CLIP_TOKENIZER,
    T5Tokenizer: T5_TOKENIZER,
    Qwen2Tokenizer: QWEN_TOKENIZER,
    Qwen2VLProcessor: QWEN_TOKENIZER,
}
"""Where the vocabulary of each class lies."""

_QWEN_MARKS: Final = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
"""The tokens after those that its merges make, in their order."""

_QWEN_PIXELS: Final = {"min_pixels": 56 * 56, "max_pixels": 12_845_056}
"""How large a picture Qwen2.5-VL is shown: what its authors write into `preprocessor_config.json`."""


@dataclass(frozen=True)
class SharedTokenizer(Part):
    """One of them."""

    pad_token: str = ""
    """Where models differ in it."""

    def load(self) -> Any:
        """The tokenizer."""
        if self.kind is Qwen2Tokenizer:
            return _qwen(self.folder)
        if self.kind is Qwen2VLProcessor:
            return PicturesAndText(Qwen2VLImageProcessorPil(**_QWEN_PIXELS), _qwen(self.folder))
        more = {"pad_token": self.pad_token} if self.pad_token else {}
        return self.kind.from_pretrained(self.folder, local_files_only=True, **more)

    @cached_property
    def key(self) -> str:
        """Changes with what it pads with."""
        return f"{self.name} {self.folder.name} {self.pad_token}"

    @property
    def changed(self) -> bool:
        """Never."""
        return False


def shared_tokenizer(name: str, kind: Any, *, open_clip: bool) -> SharedTokenizer | None:
    """The part `name` of the class `kind`, also one that shows pictures beside text.

    None for a class whose vocabulary does not come with the program.

    CLIP-L fills up with its end token, the OpenCLIP encoders of later models with "!".
    """
    if kind not in FOLDERS:
        return None
    pad = ("!" if open_clip else "<|endoftext|>") if kind is CLIPTokenizer else ""
    return SharedTokenizer(name, configurations() / FOLDERS[kind], kind, pad)


def _qwen(folder: Path) -> PreTrainedTokenizerBase:
    """Qwen's tokenizer: its vocabulary is every byte, and then what each of its merges makes."""
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines)]
    words = [*sorted(bytes_to_unicode().values()), *(left + right for left, right in merges)]
    tokenizer = Qwen2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        additional_special_tokens=list(_QWEN_MARKS),
        model_max_length=131072,
        chat_template=(folder / "chat_template.jinja").read_text(encoding="utf-8"),
    )
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer
