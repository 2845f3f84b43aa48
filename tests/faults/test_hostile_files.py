"""Whatever lies in a file, its reader gives a result or a message, and no memory for what the file only claims."""

import io
import json
import os
import pickle
import random
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.faults.conftest import Tally, most_memory
from tests.faults.foreign_texts import TEXTS
from tests.faults.mutations import chunk, mutated, mutated_png, mutated_text
from tests.library.model_files import FLUX, gguf
from tests.library.test_pictures import making_of
from tui.keymap_files import complaints, new_clashes, read_keymap
from tui.library import models
from tui.library.adapter_header import read_adapter, read_widths
from tui.library.gguf_header import read_gguf_header
from tui.library.identify import identify_file
from tui.library.lending import Lending
from tui.library.models import BUNDLED, describe_model, read_model
from tui.library.paths import Paths, bundled_models, shipped_themes
from tui.library.picture_texts import PictureTexts, read_texts
from tui.library.pictures import read_making, save_picture
from tui.library.places import places
from tui.library.prompt.composition import subprompts
from tui.library.prompt.emphasis import weigh
from tui.library.prompt.expansion import MAX_LENGTH, expand
from tui.library.prompt.reading import features, is_plain, notices, read
from tui.library.prompt.tags import lora_tags
from tui.library.prompt.wildcards import Wildcards
from tui.library.recall import recall, recall_texts
from tui.library.safetensors_header import read_header
from tui.library.saved_prompts import read_saved_prompts
from tui.library.settings import load_settings
from tui.library.single_files import read_single_file
from tui.library.thumbnails import shrunk_png
from tui.library.xmp import xmp_texts
from tui.protocol.problem import LatenttyError
from tui.theme_files import read_theme
from tui.worker.inputs import open_picture

MEBIBYTE = 1 << 20
MODEL = bundled_models() / BUNDLED


def small_safetensors() -> bytes:
    tensors = {
        "__metadata__": {"format": "pt", "ss_base_model_version": "sd_v1"},
        "lora_unet_a.lora_down.weight": {"dtype": "F16", "shape": [2, 4], "data_offsets": [0, 16]},
        "lora_unet_a.lora_up.weight": {"dtype": "F16", "shape": [4, 2], "data_offsets": [16, 32]},
    }
    head = json.dumps(tensors).encode()
    return struct.pack("<Q", len(head)) + head + bytes(32)


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a CreatorTool="Draw Things"><exif:UserComment xmlns:exif="e"><li>'
    b'{"c": "a fox", "uc": "blurry", "seed": 5, "steps": 20, "scale": 4.5, "sampler": "DPM++ 2M", "size": "24x24", '
    b'"lora": [{"model": "ink", "weight": 0.6}], "v2": {"loras": []}}</li></exif:UserComment></a></x:xmpmeta>'
)


def small_picture(form: str, folder: Path) -> bytes:
    path = folder / "seed.png"
    save_picture(Image.radial_gradient("L").resize((24, 24)).convert("RGB"), path, making_of(prompt="a fox, (red:1.2)"))
    if form == "PNG":
        return path.read_bytes()
    with Image.open(path) as image:
        exif = image.getexif()
        exif[0x9286] = b"UNICODE\0" + "a fox\nSteps: 5, Seed: 7, Size: 24x24".encode("utf-16-be")
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, form, exif=exif, xmp=XMP)
    return buffer.getvalue()


def look_at_picture(path: Path) -> None:
    for reader in (read_texts, recall, lambda one: shrunk_png(one, 16, 16), lambda one: open_picture(str(one))):
        try:
            reader(path)
        except LatenttyError:
            continue
    read_making(path)


def look_at_xmp(path: Path) -> None:
    texts = xmp_texts(path.read_bytes().decode(errors="replace") if path.is_file() else "")
    recall_texts(PictureTexts(width=24, height=24, texts=texts))


def look_at_weights(path: Path) -> None:
    """What it is, in a list of models, and as a model of its own."""
    assert identify_file(path).name
    (read_gguf_header if path.suffix == ".gguf" else read_header)(path)
    with suppress(LatenttyError):
        read_single_file(path, Lending())


def look_at_settings(path: Path) -> None:
    here = path.parent
    load_settings(Paths(config=here, state=here, cache=here, pictures=here, models=here), {})


def look_at_extra_paths(path: Path) -> None:
    for place in places([path.parent], others=False):
        assert place.path.is_dir()


def look_at_keymap(path: Path) -> None:
    keymap = read_keymap(path)
    built_in = {"generate": "ctrl+g", "help": "f1", "picture.older": "left"}
    complaints(keymap, built_in)
    new_clashes(keymap.all, {"studio": built_in})


def look_at_prompts(path: Path) -> None:
    _, problems = read_saved_prompts(path.parent)
    if problems:
        raise LatenttyError(problems[0])


def look_at_wildcards(path: Path) -> None:
    for seed in range(4):
        assert len(expand("a __x__, __*x*__", Wildcards(path.parent), seed)) <= MAX_LENGTH


SETTINGS = b"""# mine
output_folder = "~/pictures"
model_folders = ["/data/models", "/more"]
autoload = true
[engine]
unload_after = 15
exit_after = 2.5
"""

EXTRA_PATHS = b"""# others
comfyui:
    base_path: &base ~/comfy/
    is_default: true
    checkpoints: models/checkpoints/
    loras: |
        models/loras
        ../more
mine:
    base_path: *base
    unet: ["a", {b: c}]
    vae: /nowhere/vae
"""

KEYMAP = b"""# mine
preset = "vim"
[keys]
generate = "ctrl+g,f12"
"picture.older" = "left, h"
"""

PROMPT = b"""prompt = "a fox, {prompt}"
negative_prompt = "blurry"
"""

WILDCARDS = b"""# colours
red
0.5::{dark|light} blue
{2$$ and $$a|b|__x__}
__*x*__, (grey:1.2)
"""

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "safetensors": ("x.safetensors", look_at_weights),
    "gguf": ("x.gguf", look_at_weights),
    "adapter": ("x.safetensors", read_adapter),
    "png": ("x.png", look_at_picture),
    "png behind checksums": ("x.png", look_at_picture),
    "jpeg": ("x.jpg", look_at_picture),
    "webp": ("x.webp", look_at_picture),
    "avif": ("x.avif", look_at_picture),
    "xmp": ("x.xmp", look_at_xmp),
    "settings": ("settings.toml", look_at_settings),
    "theme": ("x.toml", read_theme),
    "keymap": ("keymap.toml", look_at_keymap),
    "saved prompt": ("x.toml", look_at_prompts),
    "wildcards": ("x.txt", look_at_wildcards),
    "extra model paths": ("extra_model_paths.yaml", look_at_extra_paths),
}


def seed_of(kind: str, folder: Path) -> bytes:
    match kind:
        case "safetensors" | "adapter":
            return small_safetensors()
        case "gguf":
            return gguf(FLUX, "flux")
        case "settings":
            return SETTINGS
        case "theme":
            return (shipped_themes() / "paper.toml").read_bytes()
        case "keymap":
            return KEYMAP
        case "saved prompt":
            return PROMPT
        case "wildcards":
            return WILDCARDS
        case "extra model paths":
            return EXTRA_PATHS
        case "xmp":
            return XMP
        case _:
            return small_picture({"jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF"}.get(kind, "PNG"), folder)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about files that are cut or claim to be large
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file(
    kind: str, tally: Tally, tmp_path: Path, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    name, reader = READERS[kind]
    seed = seed_of(kind, tmp_path)
    path = tmp_path / "alone" / name
    path.parent.mkdir()
    change = mutated_png if kind == "png behind checksums" else mutated
    refused = 0
    path.write_bytes(seed)
    reader(path)
    with most_memory() as grown:
        for _ in range(times(250, 100_000)):
            data = change(seed, chance)
            path.write_bytes(data)
            tally.tried += 1
            begun = time.process_time()
            try:
                reader(path)
            except LatenttyError:
                refused += 1
            except BaseException:
                print(f"the file was {data[:4000]!r}")
                raise
            tally.most["s for one"] = max(tally.most.get("s for one", 0), time.process_time() - begun)
    tally.sums["refused"] = refused
    tally.most["MiB more"] = grown()
    assert grown() < (1000 if kind in ("webp", "png behind checksums") else 400)


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_waited_for_by_none(kind: str, tmp_path: Path) -> None:
    name, reader = READERS[kind]
    os.mkfifo(tmp_path / name)
    with suppress(LatenttyError):
        reader(tmp_path / name)


def test_a_damaged_model_folder(
    tally: Tally, tmp_path: Path, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    files = (
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "vae/config.json",
        "latentty.toml",
    )
    folder = tmp_path / "model"
    for path in MODEL.rglob("*"):
        place = folder / path.relative_to(MODEL)
        if path.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
    for _ in range(times(100, 100_000)):
        name = chance.choice(files)
        place = folder / name
        place.unlink()
        place.write_bytes(mutated((MODEL / name).read_bytes(), chance))
        tally.tried += 1
        described = describe_model(folder)
        assert described.problem is None or described.problem.cause
        with suppress(LatenttyError):
            read_widths(folder)
        place.unlink()
        place.symlink_to(MODEL / name)
    assert read_model(folder).problem is None


def test_a_damaged_text_of_another_program(
    tally: Tally, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    """Recall takes nothing of it for granted."""
    sources = set()
    for _ in range(times(1_000, 100_000)):
        texts = dict(chance.choice(TEXTS))
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            name = chance.choice(list(texts))
            texts[name] = mutated_text(texts[name], chance)
        begun = time.process_time()
        try:
            sources.add(recall_texts(PictureTexts(width=8, height=8, texts=texts)).source)
        except BaseException:
            print(f"the texts were {texts}")
            raise
        tally.tried += 1
        tally.most["s for one"] = max(tally.most.get("s for one", 0), time.process_time() - begun)
    tally.note = f"{len(sources)} sources"


PIECES = [
    "a fox", "(", ")", "[", "]", "{", "}", "|", ":", "::", "$$", "__a__", "__*__", "__../x__", "<lora:", ">", "AND",
    "BREAK", ":1.3)", "\\", "\n", "0.5", "2$$", "1-3$$", ", ", "nan", "inf", "1e999", "#", "é", "\U0001f600", "\u202e",
    "\x1b",
]  # fmt: skip


def test_a_hostile_prompt(
    tally: Tally, tmp_path: Path, chance: random.Random, times: Callable[[int, int], int]
) -> None:
    (tmp_path / "a.txt").write_bytes(b"red\n__a__\n{b|__b__}\n0.5::x\n" + b"\xff\xfe\n")
    (tmp_path / "b.txt").write_text("__a__ {2$$x|y|z}\n")
    (tmp_path / "double.txt").write_text("__double__ " * 1000)
    (tmp_path / "long.txt").write_text("{a|" * 100_000)
    (tmp_path / ("a" * 200 + ".txt")).write_text("red")
    wildcards = Wildcards(tmp_path)
    refused = 0
    for _ in range(times(1_000, 100_000)):
        prompt = "".join(chance.choice(PIECES) for _ in range(chance.choice((3, 8, 20, 60))))
        tally.tried += 1
        try:
            notices(prompt)
            read(expand(prompt, wildcards, chance.randrange(2**32)), 20)
        except LatenttyError:
            refused += 1
    tally.sums["refused"] = refused
    steps = times(10, 150)
    for text in long_prompts(times(1_500, 20_000)):
        begun = time.process_time()
        for reading in (notices, features, is_plain, weigh, lambda one: read(one, steps), lora_tags, subprompts):
            reading(text)
        with suppress(LatenttyError):
            expand(text, wildcards, 1)
        tally.tried += 1
        tally.most["s for one"] = max(tally.most.get("s for one", 0), time.process_time() - begun)


def long_prompts(n: int) -> list[str]:
    """Each costs minutes, memory or the stack where one letter is looked at once for each of the others."""
    return [
        *(letter * n for letter in "([{<\\|:_ *1"),
        *((letter + "a") * (n // 2) for letter in "([{<\\|:_"),
        *(opening * (n // 2) + closing * (n // 2) for opening in "([{" for closing in ")]}"),
        *(opening * (n // 9) + ":1)" * (n // 9) for opening in ("(", "(a", "[", "[a:", "[a|")),
        *(opening * (n // 4) + "]" * (n // 4) for opening in ("[a|", "[a:", "[:")),
        "[a:b:3]" * (n // 7), "{a|" * (n // 4) + "}" * (n // 4), "__-" * (n // 3), "__a" * (n // 3), "__double__",
        "__long__", "__" + "*a" * 99 + "b__", " AND " * (n // 5), " AND" + " " * n, " BREAK" + " " * n, ":" + " " * n,
        f"(a:{'1' * n})", f"[a:{'1' * n}]", f"[a:{' ' * n}1]", f"a AND b:{'1' * n}", f"{{{'1' * n}$$a|b}}",
        f"{{{'1' * n}::a|b}}", "<lora:" * (n // 6), f"<lora:a:{'1' * n}>",
    ]  # fmt: skip


class Bomb:
    """What a pickle may do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/tmp/a-pickle-ran"),)


def pickles() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Bomb()))
        file.writestr("archive/version", "3")
    found = {f"protocol {number}": pickle.dumps(Bomb(), number) for number in range(6)}
    return found | {
        "zip": zipped.getvalue(),
        "old tar-less torch": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + found["protocol 2"],
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".pt", ".bin", ".gguf", ""])
def test_a_pickle_is_refused_by_what_is_in_it_whatever_it_is_called(suffix: str, tally: Tally, tmp_path: Path) -> None:
    for name, data in pickles().items():
        path = tmp_path / f"model{suffix}"
        for padding in (0, 5000):
            path.write_bytes(data + bytes(padding))
            tally.tried += 1
            with pytest.raises(LatenttyError, match="pickle") as caught:
                read_header(path)
            assert "onvert" in caught.value.problem.hint, name
    assert not Path("/tmp/a-pickle-ran").exists()


SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_of(width: int, height: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(bytes((width + 1) * min(height, 60)), 9)
    return SIGNATURE + head + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@cache
def much() -> bytes:
    """What 300 MiB of nothing become."""
    packing = zlib.compressobj()
    head = packing.compress(b"") + packing.flush(zlib.Z_FULL_FLUSH)
    block = packing.compress(bytes(MEBIBYTE)) + packing.flush(zlib.Z_FULL_FLUSH)  # the same each time
    return head + block * 300 + packing.flush()[:-4] + struct.pack(">I", zlib.adler32(bytes(300 * MEBIBYTE)))


@cache
def some() -> bytes:
    return zlib.compress(bytes(MEBIBYTE))


BOMBS = {
    "pixels": lambda: png_of(100_000, 100_000),
    "a row": lambda: SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 1, 8, 0, 0, 0, 0)),
    "text": lambda: png_of(8, 8, chunk(b"zTXt", b"parameters\0\0" + much())),
    "international text": lambda: png_of(8, 8, chunk(b"iTXt", b"latentty\0\1\0\0\0" + much())),
    "many texts": lambda: png_of(8, 8, *[chunk(b"zTXt", b"x%d\0\0" % n + some()) for n in range(400)]),
    "a colour profile": lambda: png_of(8, 8, chunk(b"iCCP", b"x\0\0" + much())),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_does_not_go_off(kind: str, tally: Tally, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(BOMBS[kind]())
    with most_memory() as grown:
        look_at_picture(path)
        tally.tried = 4
        tally.note = f"{path.stat().st_size:,} bytes cost {grown()} MiB"
        assert grown() < 150


@pytest.mark.parametrize(
    "head", [b"RIFF\0\0\0\x70WEBPVP8 ", b"\0\0\0 ftypavif", b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"GIF89a\1\0\1\0\0\0\0"]
)
def test_a_file_that_is_nearly_all_hole_is_not_gone_through(head: bytes, tally: Tally, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(head)
    os.truncate(path, 100 << 30)
    with most_memory() as grown:
        for reader in (read_texts, lambda one: shrunk_png(one, 16, 16), lambda one: open_picture(str(one))):
            tally.tried += 1
            with pytest.raises(LatenttyError):
                reader(path)
        assert grown() < 50


def test_a_header_that_claims_to_be_large_costs_nothing(tally: Tally, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for claimed in (2**63, 2**64 - 1, 99_999_999, 100_000_001, 2**32):
        path.write_bytes(struct.pack("<Q", claimed) + b"{}")
        tally.tried += 1
        with pytest.raises(LatenttyError):
            read_header(path)
    deep = b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    wide = b"{" + b",".join(b'"%d":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}' % n for n in range(20_000)) + b"}"
    with most_memory() as grown:
        for head in (deep, wide):
            path.write_bytes(struct.pack("<Q", len(head)) + head)
            tally.tried += 1
            with suppress(LatenttyError):
                read_header(path)
        assert grown() < 150


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("settings.toml", look_at_settings),
        ("theme.toml", read_theme),
        ("latentty.toml", lambda path: models._read_defaults(path.parent)),
    ],
)
def test_a_configuration_file_is_bounded_before_it_is_read(
    name: str, reader: Callable[[Path], object], tally: Tally, tmp_path: Path
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(4 << 30)  # no byte of it on the disk
    with most_memory() as grown, pytest.raises(LatenttyError, match="more than"):
        reader(tmp_path / name)
    tally.tried = 1
    assert grown() < 50
