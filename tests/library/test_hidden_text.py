"""What NovelAI and A1111's extension hide in a picture's pixels is recalled; what is damaged or hostile is told."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tui.library import hidden_text
from tui.library.recall import recall
from tui.protocol.problem import LatenttyError

PARAMETERS = "a (red:1.2) fox\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x96"
NOVELAI = {
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4",
    "Description": "cat, space",
    "Comment": json.dumps({"prompt": "{cat}, space", "steps": 28, "seed": 9, "sampler": "k_euler", "uc": "x"}),
}


def hide(mark: str, data: bytes, path: Path, *, bits: int | None = None, size: tuple[int, int] = (64, 96)) -> Path:
    """A picture with `data` down its columns, whose length is told as `bits`."""
    whole = mark.encode() + (len(data) * 8 if bits is None else bits).to_bytes(4, "big") + data
    stream = [byte >> shift & 1 for byte in whole for shift in range(7, -1, -1)]
    in_alpha = "rgb" not in mark
    image = Image.effect_noise(size, 90).convert("RGBA" if in_alpha else "RGB")
    pixels = image.load()
    assert pixels is not None
    each = 1 if in_alpha else 3
    for place in range(0, len(stream), each):
        x, y = divmod(place // each, size[1])
        if x >= size[0]:
            break
        old = list(pixels[x, y])  # type: ignore[arg-type]
        for channel, bit in enumerate(stream[place : place + each], 3 if in_alpha else 0):
            old[channel] = old[channel] & 254 | bit
        pixels[x, y] = tuple(old)
    image.save(path, lossless=True)
    return path


@pytest.mark.parametrize("suffix", ["png", "webp"])
@pytest.mark.parametrize("mark", hidden_text.MARKS)
def test_what_a1111s_extension_hides_is_recalled(tmp_path: Path, mark: bytes, suffix: str) -> None:
    data = PARAMETERS.encode()
    path = hide(mark.decode(), gzip.compress(data) if mark.endswith(b"comp") else data, tmp_path / f"x.{suffix}")
    got = recall(path)
    assert (got.source, got.fields["prompt"], got.fields["seed"]) == ("A1111", "a (red:1.2) fox", 5)
    assert got.text == PARAMETERS


def test_what_novelai_hides_is_recalled(tmp_path: Path) -> None:
    got = recall(hide("stealth_pngcomp", gzip.compress(json.dumps(NOVELAI).encode()), tmp_path / "x.png"))
    assert (got.source, got.fields["prompt"], got.fields["steps"]) == ("NovelAI", "(cat:1.05), space", 28)
    assert got.unmapped["Source"] == "NovelAI Diffusion V4"


@pytest.mark.parametrize(
    ("mark", "data", "bits", "told"),
    [
        ("stealth_pnginfo", b"abc", 2**32 - 8, "4294967288 bits"),
        ("stealth_pnginfo", b"abc", 23, "23 bits"),
        ("stealth_pnginfo", b"abc", 80_000, "longer than the picture"),
        ("stealth_pngcomp", gzip.compress(bytes(9_000_000)), None, "beyond"),
        ("stealth_pngcomp", b"no gzip", None, "inflated"),
        ("stealth_rgbcomp", b"", None, ""),
    ],
)
def test_damage_and_bombs_give_a_message(tmp_path: Path, mark: str, data: bytes, bits: int | None, told: str) -> None:
    path = hide(mark, data, tmp_path / "x.png", bits=bits, size=(400, 400) if len(data) > 500 else (64, 96))
    if not told:
        assert recall(path).source == ""
        return
    with pytest.raises(LatenttyError, match=told):
        recall(path)


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=64), st.sampled_from(sorted(hidden_text.MARKS)))
def test_whatever_is_hidden_is_text_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, length: bytes, data: bytes, mark: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "hidden.png"
    hide(mark.decode(), data, path, bits=int.from_bytes(length, "big") % 700, size=(9, 40))
    try:
        assert isinstance(recall(path).text, str)
    except LatenttyError as error:
        assert error.problem.cause  # noqa: PT017 - damage may as well leave a text whole


def test_a_picture_without_a_hidden_text_tells_nothing(tmp_path: Path) -> None:
    for mode in ("RGBA", "RGB", "L", "P"):
        Image.effect_noise((8, 8), 50).convert(mode).save(tmp_path / f"{mode}.png")
        assert recall(tmp_path / f"{mode}.png").source == ""
