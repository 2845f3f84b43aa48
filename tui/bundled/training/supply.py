"""The pictures to learn from: more and more of them, as new shards come while it is learned from earlier ones."""

from pathlib import Path
from typing import Final

import torch

from tui.bundled.training.compose import SIZE
from tui.bundled.training.effort import Effort
from tui.bundled.training.latents import Latents
from tui.bundled.training.shards import read_shard, shard_paths

HELD_OUT: Final = 4
"""One part of so many of the first shard is not learned from, but tells which weights are best."""

USUAL: Final = (SIZE // 8, SIZE // 8)
"""Height and width of the latents of most pictures."""


class GrowingPool:
    """Pictures of one size; once there are `most`, each that joins takes the place of the oldest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: Latents | None = None
        self._count, self._next = 0, 0

    @property
    def pictures(self) -> Latents:
        """All that there are."""
        assert self._places is not None, "one who asks has added some"
        return self._places.part(0, self._count)

    def add(self, new: Latents) -> None:
        """Let `new` pictures join; of more than have place the first."""
        new = new.part(0, self._most)
        if self._places is None:
            self._places = Latents(*(one.new_empty(self._most, *one.shape[1:]) for one in (new.latents, new.tokens)))
        places = (torch.arange(len(new), device=new.latents.device) + self._next) % self._most
        self._places.latents[places] = new.latents
        self._places.tokens[places] = new.tokens
        self._next = (self._next + len(new)) % self._most
        self._count = min(self._count + len(new), self._most)


class Supply:
    """All pictures in `folder`, on `device`, as many as `effort` says at most."""

    def __init__(self, folder: Path, effort: Effort, device: torch.device) -> None:
        self._folder, self._effort, self._device = folder, effort, device
        self._last = ""
        self._pools: dict[tuple[int, ...], GrowingPool] = {}
        self.held_out: Latents | None = None
        """Some that are not learned from; None before the first shard is there."""

    def take_in(self) -> None:
        """Read the shards that are new."""
        for path in shard_paths(self._folder):
            if path.name <= self._last:
                continue
            self._add(read_shard(path, self._device))
            self._last = path.name

    @property
    def usual(self) -> Latents:
        """Those of 256 × 256."""
        return self._pools[USUAL].pictures

    @property
    def others(self) -> list[Latents]:
        """Those of other sizes, as far as there are any."""
        return [pool.pictures for size, pool in self._pools.items() if size != USUAL]

    def _add(self, new: Latents) -> None:
        if self.held_out is None:
            held = max(1, len(new) // HELD_OUT)
            self.held_out, new = new.part(0, held), new.part(held, len(new))
        size = tuple(new.latents.shape[2:])
        if size not in self._pools:
            most = self._effort.pictures if size == USUAL else self._effort.other_pictures
            self._pools[size] = GrowingPool(most)
        self._pools[size].add(new)
