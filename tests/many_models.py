"""The model folders of somebody who has collected for years: thousands of small files, as four programs keep them.

As a program it makes such a home, for `HOME` to point to: `python -m tests.many_models /tmp/home 5000`.
"""

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Final

from tests.library import model_files as files
from tests.library.model_files import gguf, write_safetensors

CHECKPOINTS: Final = (files.SD1, files.SDXL, files.FLUX)
LORAS: Final = (files.KOHYA, files.KOHYA_XL, files.KOHYA_FLUX, files.FLUX_LORA, files.LOHA)
VAE: Final = {"decoder.conv_in.weight": [8, 4, 3, 3], "encoder.conv_in.weight": [8, 3, 3, 3]}
CLIP: Final = {"text_model.encoder.layers.0.self_attn.k_proj.weight": [8, 8]}
ESRGAN: Final = {"model.0.weight": [8, 3, 3, 3], "model.1.sub.0.RDB1.conv1.0.weight": [8, 8, 3, 3]}
CONTROL: Final = {
    "control_model.input_blocks.0.0.weight": [8, 4, 3, 3],
    "control_model.zero_convs.0.0.weight": [8, 8, 1, 1],
}
HOSTILE: Final = ("red\x1b[31m", "two\nlines", "gnp.\u202eexe", "tab\there", "a" * 200, "日本語 の モデル", "e\u0301")
"""What file names may hold that a terminal must not see, or that is wider or longer than it looks."""


def make(home: Path, count: int, seed: int = 1) -> None:
    """About `count` files below `home`, one in a hundred of them damaged or called what it is not."""
    chance = random.Random(seed)
    comfy, web = home / "ComfyUI", home / "stable-diffusion-webui"
    shelves: list[tuple[Path, Callable[[Path], object]]] = [
        (web / "models" / "Stable-diffusion", lambda path: _weights(path, chance.choice(CHECKPOINTS))),
        (web / "models" / "Lora", lambda path: _lora(path, chance)),
        (web / "embeddings", lambda path: _weights(path, {"emb_params": [4, 768]})),
        (web / "models" / "ESRGAN", lambda path: path.with_suffix(".pth").write_bytes(b"PK\x03\x04" + bytes(5000))),
        (comfy / "models" / "checkpoints", lambda path: _weights(path, chance.choice(CHECKPOINTS))),
        (comfy / "models" / "loras", lambda path: _lora(path, chance)),
        (comfy / "models" / "unet", lambda path: path.with_suffix(".gguf").write_bytes(gguf(files.FLUX, "flux", 8))),
        (comfy / "models" / "vae", lambda path: _weights(path, VAE)),
        (comfy / "models" / "clip", lambda path: _weights(path, CLIP)),
        (comfy / "models" / "controlnet", lambda path: _weights(path, CONTROL)),
        (comfy / "models" / "upscale_models", lambda path: _weights(path, ESRGAN)),
        (home / "disk" / "loras", lambda path: _lora(path, chance)),
        (home / "invokeai" / "models" / "sdxl" / "lora", lambda path: _lora(path, chance)),
    ]
    (home / "disk").mkdir(parents=True, exist_ok=True)
    comfy.mkdir(parents=True, exist_ok=True)
    (comfy / "extra_model_paths.yaml").write_text(f"mine:\n  base_path: {home / 'disk'}\n  loras: loras\n")
    names = _names(chance)
    for number, (shelf, write) in zip(range(count), cycle(shelves), strict=False):
        folder = shelf / chance.choice(("", "style", "people", f"set {number % 7}"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{next(names)}.safetensors"
        write(path)
        if number % 100 == 99:
            _spoil(path, chance)
    for number in range(max(count // 200, 1)):
        _cached(home / ".cache" / "huggingface" / "hub", number)


def _names(chance: random.Random) -> Iterator[str]:
    words = ("fox", "realistic", "anime", "detail", "v2", "pruned", "ink", "style", "night", "portrait", "XL", "turbo")
    number = 0
    while True:
        number += 1
        name = "-".join(chance.sample(words, 3))
        yield f"{HOSTILE[number % len(HOSTILE)]} {number}" if number % 97 == 0 else f"{name}-{number}"


def _weights(path: Path, shapes: dict[str, list[int]]) -> None:
    write_safetensors(path, shapes)


def _lora(path: Path, chance: random.Random) -> None:
    tags = {"10_fox": {f"word {chance.randrange(50)}": chance.randrange(1, 99) for _ in range(8)}}
    write_safetensors(path, chance.choice(LORAS), {"ss_tag_frequency": json.dumps(tags), "modelspec.title": path.stem})


def _spoil(path: Path, chance: random.Random) -> None:
    found = next(path.parent.glob(f"{path.stem.replace('[', '[[]')}.*"), path)
    data = found.read_bytes()
    way = chance.randrange(5)
    if way == 0:
        found.write_bytes(data[: len(data) // 2])
    elif way == 1:
        found.write_bytes(b"<!DOCTYPE html><html>" * 300)
    elif way == 2:
        found.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    elif way == 3:
        found.write_bytes((1 << 60).to_bytes(8, "little") + data[8:])
    else:
        found.rename(found.with_suffix(".ckpt"))


def _cached(hub: Path, number: int) -> None:
    repository = hub / f"models--org--model-{number}"
    snapshot = repository / "snapshots" / f"{number:040x}"
    blob = write_safetensors(repository / "blobs" / f"{number:064x}", LORAS[number % len(LORAS)])
    snapshot.mkdir(parents=True, exist_ok=True)
    link = snapshot / "pytorch_lora_weights.safetensors"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(blob, snapshot))


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
