"""Tokenizers and processors with a few hundred words, made without any file but those of this program."""

import json
import shutil
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import (
    GemmaTokenizer,
    LlamaTokenizer,
    PixtralImageProcessorPil,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    T5Tokenizer,
)

from tests.worker.tiny_models.folder import Part, part
from tui.library.models import BUNDLED
from tui.library.paths import bundled_models

_COMMON: Final = (
    "a an and the of in on with one two red green blue yellow white black small large round square "
    "apple heart star moon fox cat dog house tree snow grass sky background crown photo drawing painting "
    "make it bad blurred ugly"
)
WORDS: Final = _COMMON.split()
"""What prompts in tests are made of; every other word comes apart into bytes or letters."""

QWEN_TEMPLATES: Final = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the "
    "objects and background:",
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then explain "
    "how the user's text instruction should alter or modify the image. Generate a new image that meets the user's "
    "requirements while maintaining consistency with the original input where appropriate.",
    "system\nuser\nassistant\nPicture 1: Picture 2: ",
)
"""What Qwen-Image puts before a prompt: it drops as many tokens again as these have words, so they must be words."""

QWEN_SPECIAL: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

QWEN_CHAT: Final = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string %}{{- message.content }}{%- else %}"
    "{%- for block in message.content %}{{- block.text }}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)

MISTRAL_CHAT: Final = (
    "{{- bos_token }}{%- for message in messages %}"
    "{%- if message.role == 'system' %}{{- '[SYSTEM_PROMPT]' }}{%- else %}{{- '[INST]' }}{%- endif %}"
    "{%- for block in message.content %}"
    "{%- if block.type == 'image' %}{{- '[IMG]' }}{%- else %}{{- block.text }}{%- endif %}{%- endfor %}"
    "{%- if message.role == 'system' %}{{- '[/SYSTEM_PROMPT]' }}{%- else %}{{- '[/INST]' }}{%- endif %}"
    "{%- endfor %}"
)


def clip_tokenizer() -> Part:
    """The bundled model's own tokenizer, file by file."""
    source = bundled_models() / BUNDLED / "tokenizer"

    def copy(place: Path) -> None:
        shutil.copytree(source, place)

    return Part("transformers", "CLIPTokenizer", copy)


def clip_words() -> int:
    """How many words `clip_tokenizer` knows."""
    merges = (bundled_models() / BUNDLED / "tokenizer" / "merges.txt").read_text(encoding="utf-8")
    return 2 * len(pre_tokenizers.ByteLevel.alphabet()) + len(merges.splitlines()) - 1 + 2


def t5_tokenizer() -> T5Tokenizer:
    """Whole words at best, else letters; ends every prompt with `</s>`."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -8.0)]
    pieces += [("▁" + word, -4.0) for word in WORDS]
    pieces += [(letter, -9.0) for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'-()"]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Pieces of bytes, the words of the templates whole, and a chat template."""
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(
        [*QWEN_TEMPLATES, " " + " ".join(WORDS), *WORDS] * 2,
        vocab_size=2000,
        new_special_tokens=list(QWEN_SPECIAL),
        show_progress=False,
    )
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = QWEN_CHAT
    return tokenizer


def gemma_tokenizer() -> GemmaTokenizer:
    """Whole words at best, else bytes; begins every prompt with `<bos>`."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    return GemmaTokenizer(*_byte_fallback(special), add_bos_token=True, model_max_length=8192)


def llama_tokenizer() -> LlamaTokenizer:
    """Whole words at best, else bytes; begins every prompt with `<s>`."""
    special = ["<unk>", "<s>", "</s>"]
    return LlamaTokenizer(*_byte_fallback(special), pad_token="</s>", add_bos_token=True, model_max_length=512)


def glm_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, after the two tokens with which every prompt of GLM begins; pads on the left."""
    special = ["<|endoftext|>", "[gMASK]", "<sop>"]
    tokenizer = _bytes_with(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[(word, special.index(word)) for word in special[1:]]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        padding_side="left",
        model_max_length=1024,
    )


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, with the chat template of FLUX.2's text encoder; pads on the left."""
    special = ["<unk>", "<s>", "</s>", "<pad>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
    return PreTrainedTokenizerFast(
        tokenizer_object=_bytes_with([*special, "[IMG]", "[IMG_BREAK]", "[IMG_END]"]),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=4096,
        chat_template=MISTRAL_CHAT,
    )


def mistral_processor() -> Part:
    """FLUX.2's tokenizer, which is one for text and pictures. It is not made as an object: that needs torchvision."""
    pictures = PixtralImageProcessorPil(patch_size={"height": 14, "width": 14}, size={"longest_edge": 56})
    settings = {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2}
    return _together("PixtralProcessor", part(mistral_tokenizer()), part(pictures), settings)


def qwen_vl_processor(name: str = "Qwen2VLProcessor") -> Part:
    """The processor of Qwen-Image's editors. It is not made as an object: that needs torchvision, for films."""
    pictures = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56)
    return _together(name, part(qwen_tokenizer()), part(pictures), {"processor_class": name})


def _together(class_name: str, tokenizer: Part, pictures: Part, settings: dict[str, object]) -> Part:
    def write(place: Path) -> None:
        tokenizer.write(place)
        pictures.write(place)
        (place / "processor_config.json").write_text(json.dumps(settings, indent=2))

    return Part("transformers", class_name, write)


def _byte_fallback(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Words and merges of a tokenizer that knows `special`, every byte and the words of `WORDS`."""
    vocabulary = {word: index for index, word in enumerate([*special, *(f"<0x{byte:02X}>" for byte in range(256))])}
    merges: list[tuple[str, str]] = []
    for letter in "▁abcdefghijklmnopqrstuvwxyz":
        vocabulary.setdefault(letter, len(vocabulary))
    for word in WORDS:
        for end in range(1, len(word) + 1):
            left, right = "▁" + word[: end - 1], word[end - 1]
            if left + right not in vocabulary:
                vocabulary[left + right] = len(vocabulary)
                merges.append((left, right))
    return vocabulary, merges


def _bytes_with(special: list[str]) -> Tokenizer:
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(BPE(vocab={word: index for index, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return tokenizer
