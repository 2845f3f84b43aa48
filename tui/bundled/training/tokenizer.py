"""The model's tokenizer: CLIP's method with a vocabulary of its own, learned from captions."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import RobertaProcessing
from tokenizers.trainers import BpeTrainer

from tui.bundled.training.catalogue import Catalogue
from tui.bundled.training.vocabulary import vocabulary
from tui.library.token_counts import clip_tokenizer
from tui.protocol.problem import LatenttyError, Problem

FOLDER: Final = "tokenizer"
"""The name of the tokenizer's folder beside the data."""

LENGTH: Final = 77
"""Tokens of an encoded caption, first and last token counted."""

BEGIN: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"
"""The last token, and what fills up."""

WORD_END: Final = "</w>"

MERGES: Final = 2400
"""Pairs that are merged at most."""

MIN_FREQUENCY: Final = 12
"""How often a pair must occur to be merged."""

SPECIAL: Final = {"bos_token": BEGIN, "eos_token": END, "unk_token": END, "pad_token": END}

Merge = tuple[str, str]


def training_texts(catalogue: Catalogue, captions: Iterable[str]) -> list[str]:
    """What to learn from: `captions`, and every name, phrase and filler often enough to become few tokens."""
    words = vocabulary()
    names = [name for subject in catalogue.subjects for name in subject.names]
    phrases = [phrase for scene in words.scenes.values() for phrase in scene.phrases]
    return [text.lower() for text in (*captions, *names * 40, *phrases * 60, *words.fillers * 30)]


def learn_merges(texts: Iterable[str], most: int = MERGES) -> list[Merge]:
    """The pairs to merge, `most` at most, the first first."""
    tokenizer = clip_tokenizer(BPE(end_of_word_suffix=WORD_END, continuing_subword_prefix=""))
    trainer = BpeTrainer(
        vocab_size=4000,
        end_of_word_suffix=WORD_END,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=MIN_FREQUENCY,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in learned]
    return [(first, second) for first, second in pairs[:most]]


def write_tokenizer(merges: Sequence[Merge], folder: Path) -> None:
    """Write the tokenizer into `folder`, as transformers' CLIPTokenizer reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    configuration = {
        **SPECIAL,
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        "do_lower_case": True,
        "errors": "replace",
        "add_prefix_space": False,
    }
    (folder / "vocab.json").write_text(json.dumps(_token_ids(merges), ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(SPECIAL, indent=1), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration, indent=1), encoding="utf-8")


def read_merges(folder: Path) -> list[Merge]:
    """The pairs that the tokenizer in `folder` merges, the first first.

    Raises:
        LatenttyError: there is none, or it is damaged.
    """
    try:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
        return [(first, second) for first, second in (line.split(" ") for line in lines)]
    except (OSError, ValueError) as error:
        cause = f"{folder} holds no tokenizer that can be read: {error}."
        hint = "Make one with: python -m tui.bundled.training prepare FOLDER"
        raise LatenttyError(Problem(code="not_found", cause=cause, hint=hint)) from None


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in `folder`; what it encodes is cut or filled up to `LENGTH` tokens.

    Raises:
        LatenttyError: there is none, or it is damaged.
    """
    merges = read_merges(folder)
    ids = _token_ids(merges)
    begin, end = ids[BEGIN], ids[END]
    tokenizer = clip_tokenizer(
        BPE(vocab=ids, merges=merges, continuing_subword_prefix="", end_of_word_suffix=WORD_END, unk_token=END)
    )
    tokenizer.post_processor = RobertaProcessing((END, end), (BEGIN, begin), trim_offsets=False, add_prefix_space=False)
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH, pad_id=end, pad_token=END)
    return tokenizer


def encode(tokenizer: Tokenizer, captions: Sequence[Sequence[str]]) -> npt.NDArray[np.int16]:
    """The tokens of `captions`, of which every picture has as many, (pictures, captions, LENGTH)."""
    encoded = tokenizer.encode_batch([caption for own in captions for caption in own])
    return np.array([one.ids for one in encoded], np.int16).reshape(len(captions), -1, LENGTH)


def decode(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """The caption, in small letters, that `ids` encode, with one space between words and signs."""
    ends = {tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)}
    tokens = [tokenizer.id_to_token(int(one)) or "" for one in ids if int(one) not in ends]
    return "".join(tokens).replace(WORD_END, " ").strip()


def _token_ids(merges: Sequence[Merge]) -> dict[str, int]:
    """Every byte, every byte that ends a word, every merge, and the special tokens, numbered in that order."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + WORD_END for letter in letters), *("".join(pair) for pair in merges), BEGIN, END]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}
