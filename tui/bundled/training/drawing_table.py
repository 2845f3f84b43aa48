"""All that is needed to draw any number of pictures: the sprites, the scenes, and specs of pictures."""

from collections.abc import Iterator, Sized
from pathlib import Path

import torch

from tui.bundled.training.catalogue import read_catalogue
from tui.bundled.training.compose import Composer
from tui.bundled.training.pool import Pool, Share, sample_pool
from tui.bundled.training.scenes import draw_bank
from tui.bundled.training.sprites import read_sprites


def read_composer(data: Path, scenes_each: int, processes: int, device: torch.device) -> Composer:
    """Who draws pictures of the `data` that prepare wrote, with `scenes_each` pictures of every scene, on `device`.

    Raises:
        LatenttyError: `data` holds no data, or a process ended early.
    """
    catalogue = read_catalogue(data)
    sprites = read_sprites(data, catalogue, processes)
    return Composer(sprites, catalogue, draw_bank(scenes_each, processes), device)


def invent(data: Path, pictures: int, seed: int, scenes_each: int, processes: int, captions: int = 1) -> Pool:
    """At least as many new `pictures` by `seed`, with their captions.

    Raises:
        LatenttyError: `data` holds no data, or a process ended early.
    """
    parts = min(pictures, processes * 4)
    each = -(-pictures // parts)
    return sample_pool([Share(data, seed + part, each, captions, scenes_each) for part in range(parts)], processes)


def batches(rows: Sized, size: int) -> Iterator[slice]:
    """Slices of `size` that cover `rows`; the last may be shorter."""
    for start in range(0, len(rows), size):
        yield slice(start, start + size)
