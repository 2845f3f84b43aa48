"""Makes ever new pictures to learn from, a shard of some thousand at a time, each shard a file.

Processes think of pictures and of captions; one GPU draws and encodes them, while another learns from earlier shards.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from msgspec import Struct
from safetensors import safe_open
from safetensors.torch import save_file

from tui.bundled.training.compiling import compiled
from tui.bundled.training.compose import SIZE, Composer
from tui.bundled.training.drawing_table import batches, read_composer
from tui.bundled.training.edges import edge_maps, pack_lines
from tui.bundled.training.effort import Effort
from tui.bundled.training.latents import Encode, Latents, check_latents, encoder
from tui.bundled.training.parallel import stream_in_order
from tui.bundled.training.pool import Share, sample_tokens
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.spec import SpecArray

OTHER_SIZES: Final = ((192, 192), (192, 256), (256, 192), (256, 384), (384, 256), (384, 384))
"""Height and width of pictures beside those of 256 × 256."""

OTHERS_EVERY: Final = 9
"""Shards of which one is of another size."""

OTHERS_SHARE: Final = 4
"""How many times fewer pictures such a shard has."""

BATCH: Final = 256
"""Pictures that are encoded at a time."""

CAPTIONS: Final = 3
"""Of each picture."""

FIRST_SEED: Final = 1000

TELL_EVERY: Final = 25
"""Shards between two lines of the log."""

SUFFIX: Final = ".safetensors"


class ShardTask(Struct, frozen=True, kw_only=True):
    """What is made, and where."""

    data: Path
    model: Path
    """Whose autoencoder encodes."""
    folder: Path
    """Where shards go."""
    effort: Effort
    begun: float
    """When the whole began."""


def made_shards(task: ShardTask, device: torch.device) -> Iterator[Path]:
    """Write one new shard after another, without end, and tell each once it is there; those in the folder stay.

    Shards that the pool of who learns has no place for any more are removed, but for those with edges.

    Raises:
        LatenttyError: the data or the model cannot be read, or what is encoded is not as latents are.
    """
    log, effort = ProgressLog("pictures", task.begun), task.effort
    task.folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(task, device, log)
    first = max((int(path.stem) + 1 for path in shard_paths(task.folder)), default=0)
    log(f"the first to be made is shard {first}")
    invented = stream_in_order(sample_tokens, map(maker.share, itertools.count(first)), effort.processes)
    made = 0
    for number, (specs, tokens) in enumerate(invented, first):
        yield maker.write(number, specs, tokens)
        made += len(specs)
        maker.remove_too_old(number)
        if number == first or (number + 1) % TELL_EVERY == 0:
            log(f"{made} pictures in {number - first + 1} shards")


def shard_paths(folder: Path) -> list[Path]:
    """The shards in `folder`, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_shard(path: Path, device: torch.device) -> Latents:
    """The pictures in the shard `path`."""
    with safe_open(path, "pt", device=str(device)) as file:
        return Latents(file.get_tensor("latents"), file.get_tensor("tokens"))


def read_with_edges(folder: Path, device: torch.device) -> tuple[Latents, torch.Tensor]:
    """All pictures in `folder` that have edges, and these as :func:`pack_lines` packs them, (n, 256, 32)."""
    parts = []
    for path in shard_paths(folder):
        with safe_open(path, "pt", device=str(device)) as file:
            if "edges" not in file.keys():  # noqa: SIM118 - it is no mapping
                break
            parts.append([file.get_tensor(name) for name in ("latents", "tokens", "edges")])
    latents, tokens, edges = (torch.cat(some) for some in zip(*parts, strict=True))
    return Latents(latents, tokens), edges


def shards_with_edges(effort: Effort) -> int:
    """How many shards have edges; they come first."""
    return -(-effort.edges // effort.shard)


Tokens = npt.NDArray[np.int16]


class _Maker:
    """Draws, encodes and writes."""

    def __init__(self, task: ShardTask, device: torch.device, log: ProgressLog) -> None:
        effort = task.effort
        self._task, self._device = task, device
        self._composer: Composer = read_composer(task.data, effort.scenes_each, effort.processes, device)
        log("sprites and scenes are there")
        self._encode: Encode = encoder(task.model, device)
        self._encode_usual = self._compiled(min(BATCH, effort.shard), log)
        self._with_edges = shards_with_edges(effort)
        self._kept = -(-effort.pictures // effort.shard) * OTHERS_EVERY // (OTHERS_EVERY - 1) + 1

    def share(self, number: int) -> Share:
        """What is to be invented for the shard `number`."""
        effort = self._task.effort
        pictures = effort.shard if self._size(number) == (SIZE, SIZE) else max(2, effort.shard // OTHERS_SHARE)
        return Share(self._task.data, FIRST_SEED + number, pictures, CAPTIONS, effort.scenes_each)

    @torch.no_grad()
    def write(self, number: int, specs: SpecArray, tokens: Tokens) -> Path:
        """Draw and encode `specs`, and write them with the `tokens` of their captions."""
        height, width = self._size(number)
        usual, with_edges = (height, width) == (SIZE, SIZE), number < self._with_edges
        encode = self._encode_usual if usual else self._encode
        torch.manual_seed(FIRST_SEED + number)
        latents, edges = [], []
        for some in batches(specs, BATCH if usual else BATCH // OTHERS_SHARE):
            pictures = self._composer.compose(specs[some], height, width)
            latents.append(encode(pictures).to(torch.float16))
            if with_edges:
                edges.append(pack_lines(_random_edges(pictures)))
        parts = {"latents": torch.cat(latents).cpu().contiguous(), "tokens": torch.from_numpy(tokens)}
        if number == 0:
            check_latents(parts["latents"], self._task.model)
        if with_edges:
            parts["edges"] = torch.cat(edges).cpu()
        path = self._path(number)
        unfinished = path.with_suffix(".part")
        save_file(parts, unfinished)
        unfinished.replace(path)
        return path

    def remove_too_old(self, number: int) -> None:
        """Remove the shard that the one with `number` takes the place of."""
        if (oldest := number - self._kept) >= max(1, self._with_edges):
            self._path(oldest).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._task.folder / f"{number:06}{SUFFIX}"

    def _size(self, number: int) -> tuple[int, int]:
        """Height and width of the pictures of the shard `number`."""
        if not self._task.effort.other_pictures or number < self._with_edges or (number + 1) % OTHERS_EVERY:
            return SIZE, SIZE
        return OTHER_SIZES[number // OTHERS_EVERY % len(OTHER_SIZES)]

    @torch.no_grad()
    def _compiled(self, batch: int, log: ProgressLog) -> Encode:
        def rehearse(encode: Callable[[torch.Tensor], torch.Tensor]) -> None:
            encode(torch.rand(batch, 3, SIZE, SIZE, device=self._device)).sum().item()

        return compiled(self._encode, rehearse, self._task.effort.compile and self._device.type == "cuda", log)


def _random_edges(pictures: torch.Tensor) -> torch.Tensor:
    """Edges of `pictures` by random thresholds and thicknesses, (n, h, w), 0 or 1."""
    count, device = len(pictures), pictures.device
    high = torch.rand(count, device=device) * 0.5 + 0.12
    edges: torch.Tensor = edge_maps(pictures, high * 0.4, high, torch.randint(0, 3, (count,), device=device))
    return edges[:, 0]
