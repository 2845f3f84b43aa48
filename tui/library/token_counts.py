"""How long a prompt is for each text encoder of a model, from its tokenizers' files alone."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from tui.library.families import FAMILIES, Family
from tui.library.models import read_json
from tui.library.paths import configurations
from tui.library.prompt.chunks import LENGTH, Token, chunked
from tui.library.prompt.composition import subprompts
from tui.library.prompt.emphasis import Weighted, unescaped, weigh
from tui.library.prompt.reading import notices
from tui.library.prompt.schedules import stages
from tui.library.prompt.tags import without_tags
from tui.protocol.events import ModelInfo
from tui.protocol.prompts import EncoderCount, TokenCounts

TOKENIZERS: Final = ("tokenizer", "tokenizer_2", "tokenizer_3", "tokenizer_4", "processor")

CLIP_TOKENIZER: Final = "clip-tokenizer"
"""The folder with CLIP's vocabulary that comes with the program."""

T5_TOKENIZER: Final = "t5-tokenizer"
"""The one with T5's."""

QWEN_TOKENIZER: Final = "qwen-tokenizer"
"""The one with Qwen's: what is merged, from which all else follows."""

_SHARED: Final = {
    "CLIPTokenizer": CLIP_TOKENIZER,
    "T5Tokenizer": T5_TOKENIZER,
    "T5TokenizerFast": T5_TOKENIZER,
}
"""By the class that a model's index names."""

LIMITS: Final = {"flux": 512, "flux-fill": 512, "flux-kontext": 512, "stable-diffusion-3": 256}
"""Tokens that a family's T5 reads, where its pipelines say so."""

CLIP_WORDS: Final = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP cuts a text into words (https://github.com/openai/CLIP, simple_tokenizer.py)."""

Tokenize = Callable[[str], list[int]]


def count_tokens(model: ModelInfo, prompt: str, steps: int, vectors: Mapping[str, int]) -> TokenCounts:
    """The length of `prompt` for each text encoder of `model`; of several prompts or stages, the longest counts.

    `vectors` tells how many tokens each textual inversion stands for, by its name.
    """
    family = FAMILIES.get(model.family)
    told = notices(prompt) if family is None or family.weighting else []
    counts = []
    for name in TOKENIZERS:
        tokenizer = read_tokenizer(tokenizer_folder(Path(model.configuration or model.path), name))
        if tokenizer is not None and family is not None:
            counts.append(_count(name, tokenizer, family, prompt, steps, vectors))
    return TokenCounts(encoders=counts, notices=told)


def _count(
    name: str, tokenizer: Tokenizer, family: Family, prompt: str, steps: int, vectors: Mapping[str, int]
) -> EncoderCount:
    encoder = name.replace("tokenizer", "text_encoder").replace("processor", "text_encoder")
    clip = tokenizer.token_to_id("<|startoftext|>") is not None
    if not family.weighting:

        def plain_length(text: str) -> int:
            return len(tokenizer.encode(unescaped(without_tags(text)), add_special_tokens=False).ids)

        tokens = plain_length(prompt)
        limit = LENGTH if clip else LIMITS.get(family.id, 0)
        cut = bool(limit) and tokens > limit
        starts = _starts(prompt, [limit] if cut else [], plain_length)
        return EncoderCount(encoder=encoder, tokens=tokens, limit=limit, starts=starts, cut=cut)

    def tokenize(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    comma = tokenizer.token_to_id(",</w>")

    def longest_of(text: str) -> list[list[Token]]:
        texts = {stage.text for one in subprompts(without_tags(text)) for stage in stages(one.text, steps)}
        return max(
            (chunked(tokens_of(weigh(text), tokenize, vectors), comma) for text in texts),
            key=lambda chunks: (len(chunks), sum(map(len, chunks))),
        )

    longest = longest_of(prompt)
    ends = [sum(len(chunk) for chunk in longest[: number + 1]) for number in range(len(longest) - 1)]
    starts = _starts(prompt, ends, lambda text: sum(map(len, longest_of(text))))
    return EncoderCount(encoder=encoder, tokens=sum(map(len, longest)), limit=LENGTH, chunks=ends, starts=starts)


def _starts(prompt: str, ends: list[int], length: Callable[[str], int]) -> list[int]:
    """The letters at which the words begin that bring `length` above each of `ends`."""
    words = [(found.start(), found.end()) for found in re.finditer(r"\w+|[^\w\s]", prompt)] if ends else []
    places = (bisect_right(words, end, key=lambda word: length(prompt[: word[1]])) for end in ends)
    return [words[place][0] for place in places if place < len(words)]


def tokens_of(runs: Iterable[Weighted], tokenize: Tokenize, vectors: Mapping[str, int]) -> Iterator[Token | None]:
    """The tokens of `runs`, None where a new chunk begins.

    A textual inversion in `vectors` (name -> how many vectors) gives its rows: -1 is the first row of the first one,
    and so on through all of them, in the order of `vectors`.
    """
    from tui.library.prompt.inversions import split

    first: dict[str, int] = {}
    for name, count in vectors.items():
        first[name] = -1 - sum(vectors[earlier] for earlier in first)
        assert count > 0
    for run in runs:
        if run.breaks:
            yield None
            continue
        for text, name in split(run.text, vectors):
            if name:
                count = vectors[name]
                yield from (Token(first[name] - row, run.weight, count - row) for row in range(count))
            else:
                yield from (Token(number, run.weight) for number in tokenize(text))


@lru_cache(maxsize=16)
def _opened(folder: Path, stamp: tuple[object, ...]) -> Tokenizer | None:
    whole, merges = folder / "tokenizer.json", folder / "merges.txt"
    if whole.exists():
        return Tokenizer.from_file(str(whole))
    if merges.exists() and (folder / "vocab.json").exists():
        return _clip(folder)
    return None


def tokenizer_folder(model: Path, name: str) -> Path:
    """Where the tokenizer called `name` of a model lies: with it, or with the program."""
    own = model / name
    if own.is_dir() or not (model / "model_index.json").exists():
        return own
    entry = read_json(model, "model_index.json").get(name)
    shared = _SHARED.get(entry[1]) if isinstance(entry, list) and entry[:1] == ["transformers"] else None
    return configurations() / shared if shared else own


def read_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokenizer in `folder`; None when it has none that can be read without its library."""
    files = [folder / name for name in ("tokenizer.json", "merges.txt", "vocab.json")]
    stamp = tuple((one.stat().st_mtime_ns, one.stat().st_size) for one in files if one.exists())
    try:
        return _opened(folder, stamp) if stamp else None
    except Exception:  # noqa: BLE001 - the library raises just that for whatever its parsers meet
        return None


def _clip(folder: Path) -> Tokenizer | None:
    """CLIP's tokenizer from its two files; None for another one in the same form."""
    vocabulary = read_json(folder, "vocab.json")
    if "<|startoftext|>" not in vocabulary:
        return None
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    model = BPE(
        vocab=vocabulary,
        merges=[pair for pair in merges if len(pair) == 2],
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        unk_token="<|endoftext|>",
    )
    return clip_tokenizer(model)


def clip_tokenizer(model: BPE) -> Tokenizer:
    """`model` behind what CLIP does to a text first: small letters, one space, and its way to tell words."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer
