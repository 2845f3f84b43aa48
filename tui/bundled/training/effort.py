"""How much is made and learned from: as the bundled model was, unless a test wants less."""

import os

from msgspec import Struct


class Effort(Struct, frozen=True, kw_only=True):
    """How much of everything."""

    pictures: int = 1_000_000
    """That the denoiser learns from at a time, at most; each takes 9 KB of its GPU's memory, and of the disk."""
    shard: int = 8_192
    """Pictures that are made at a time."""
    other_pictures: int = 16_384
    """Of each other size, at most; none when other sizes are not to be learned."""
    edges: int = 65_536
    """Of the pictures, those whose edges are kept for the ControlNet."""
    scenes_each: int = 100
    """Pictures of each scene that are drawn."""
    batch: int = 512
    """Pictures of one step of the denoiser; other parts take a share of it."""
    most_steps: int = 0
    """After which any part ends before its time; 0 for no such end."""
    save_every: float = 150.0
    """Seconds between two saves of what a training that is cut off goes on from."""
    processes: int = os.cpu_count() or 1
    """That think of pictures and draw scenes, in all."""
    compile: bool = True
    """Whether steps are compiled; on a GPU only."""

    def part(self, share: float) -> int:
        """A batch of a `share` of the denoiser's, at least 2."""
        return max(2, int(self.batch * share))

    def progress(self, of_time: float, steps: int) -> float:
        """How much of a part is taught, after a share `of_time` and after `steps`; 1 or more at its end."""
        return max(of_time, steps / self.most_steps) if self.most_steps else of_time
