"""The pictures that the denoiser and the ControlNet learn from, as the autoencoder encodes them, with their captions.

They are made once, beforehand: drawing and encoding them again for every step would take longer than learning.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from msgspec import Struct

from tui.bundled.training.compiling import compiled
from tui.bundled.training.compose import SIZE, Composer
from tui.bundled.training.devices import channels_last, in_bfloat16, prepared_device
from tui.bundled.training.drawing_table import batches, read_composer, shares
from tui.bundled.training.edges import edge_maps
from tui.bundled.training.effort import Effort
from tui.bundled.training.parts import frozen, load_autoencoder
from tui.bundled.training.pool import sample_tokens
from tui.bundled.training.progress_log import ProgressLog
from tui.bundled.training.spec import SpecArray
from tui.bundled.training.tokenizer import FOLDER, encode, read_tokenizer
from tui.protocol.problem import LatenttyError, Problem

OTHER_SIZES: Final = ((192, 192), (192, 256), (256, 192), (256, 384), (384, 256), (384, 384))
"""Height and width of pictures beside those of 256 × 256."""

MADE: Final = "made"
OTHERS_MADE: Final = "others-made"
"""Files that are there once the pictures of the usual size, and those of others, are."""

BATCH: Final = 256
"""Pictures that are encoded at a time."""

CAPTIONS: Final = 3
"""Of each picture."""

SEEDS_APART: Final = 100_000
"""How far the seeds of two processes' pictures are from each other."""

DEVIATIONS: Final = (0.6, 1.6)
"""Between these the deviation of latents lies, if the autoencoder is sound."""

ENCODING_SECONDS: Final = 95.0
"""How long pictures of the usual size are encoded at most; what is not encoded by then is left out."""


class LatentTask(Struct, frozen=True, kw_only=True):
    """The pictures of one process's GPU."""

    data: Path
    model: Path
    """Whose autoencoder encodes."""
    folder: Path
    """Where they go."""
    rank: int
    processes: int
    seed: int
    effort: Effort
    begun: float
    """When the whole began."""


@dataclass(frozen=True)
class Latents:
    """Encoded pictures of one size, on one device."""

    latents: torch.Tensor
    """(n, 4, height / 8, width / 8), float16"""
    tokens: torch.Tensor
    """(n, captions, LENGTH), int16"""

    def __len__(self) -> int:
        return len(self.latents)

    def part(self, begin: int, end: int) -> "Latents":
        """Those from `begin` to `end`."""
        return Latents(self.latents[begin:end], self.tokens[begin:end])

    def to(self, device: torch.device) -> "Latents":
        """The same on `device`."""
        return Latents(self.latents.to(device), self.tokens.to(device))

    def rows(self, count: int) -> torch.Tensor:
        """Random places, (count,)."""
        return torch.randint(0, len(self), (count,), device=self.latents.device)

    def captions(self, rows: torch.Tensor, empty: torch.Tensor, dropped: float) -> torch.Tensor:
        """Tokens of one caption of each of `rows`, (n, LENGTH), a `dropped` share of them `empty` (LENGTH,)."""
        device, count = rows.device, len(rows)
        chosen = torch.randint(0, self.tokens.shape[1], (count,), device=device)
        tokens = self.tokens[rows, chosen].long()
        return torch.where(torch.rand(count, 1, device=device) < dropped, empty[None], tokens)

    def chosen(self, rows: torch.Tensor) -> torch.Tensor:
        """The latents at `rows`, float32."""
        return self.latents[rows].float()


def are_made(task: LatentTask) -> bool:
    """Whether all pictures of `task` are written."""
    wanted = (MADE, OTHERS_MADE) if task.effort.other_pictures else (MADE,)
    return all((task.folder / one).exists() for one in wanted)


def make_latents(task: LatentTask) -> None:
    """Write the pictures of `task`, first those of the usual size with edges of some, then those of other sizes.

    Raises:
        LatenttyError: the data or the model cannot be read, or what is encoded is not as latents are.
    """
    log = ProgressLog(f"pictures {task.rank}", task.begun)
    device = prepared_device(task.rank)
    task.folder.mkdir(parents=True, exist_ok=True)
    composer = read_composer(task.data, task.effort.scenes_each, task.processes, device)
    log("sprites and scenes are there")
    autoencoder = frozen(load_autoencoder(task.model), device).to(memory_format=torch.channels_last)
    maker = _Maker(task, composer, _encoder(autoencoder, device), device, log)
    if not (task.folder / MADE).exists():
        maker.make_usual()
    if task.effort.other_pictures and not (task.folder / OTHERS_MADE).exists():
        maker.make_others()


def read_latents(folder: Path, device: torch.device) -> Latents:
    """The pictures of the usual size in `folder`."""
    return _read(folder, "usual", device)


def read_other_latents(folder: Path, device: torch.device) -> list[Latents]:
    """The pictures of each other size in `folder`."""
    return [_read(folder, _other(height, width), device) for height, width in OTHER_SIZES]


def read_edges(folder: Path, device: torch.device) -> torch.Tensor:
    """The edges of the first pictures of the usual size in `folder`, (n, 256, 256), 0 or 255."""
    return torch.from_numpy(np.load(folder / "edges.npy")).to(device)


def encode_pictures(autoencoder: Any, pictures: torch.Tensor) -> torch.Tensor:
    """The latents that `pictures` (n, 3, h, w), 0 to 1, most probably have, (n, 4, h / 8, w / 8)."""
    encoded: torch.Tensor = autoencoder.quant_conv(autoencoder.encoder(channels_last(pictures * 2 - 1)))
    return encoded[:, :4]


@torch.no_grad()
def encode_all(model: Path, pictures: Iterable[torch.Tensor], device: torch.device) -> torch.Tensor:
    """The latents of `pictures`, which come in batches, by the autoencoder of `model`, float16."""
    encoded = _encoder(frozen(load_autoencoder(model), device).to(memory_format=torch.channels_last), device)
    return torch.cat([encoded(some).to(torch.float16) for some in pictures])


def no_words(data: Path, device: torch.device) -> torch.Tensor:
    """The tokens of an empty caption, (LENGTH,)."""
    return torch.from_numpy(encode(read_tokenizer(data / FOLDER), [[""]])[0, 0]).long().to(device)


Encode = Callable[[torch.Tensor], torch.Tensor]


def _encoder(autoencoder: Any, device: torch.device) -> Encode:
    def encoded(pictures: torch.Tensor) -> torch.Tensor:
        with in_bfloat16(device):
            return encode_pictures(autoencoder, pictures)

    return encoded


class _Maker:
    """Draws, encodes and writes."""

    def __init__(
        self, task: LatentTask, composer: Composer, encode: Encode, device: torch.device, log: ProgressLog
    ) -> None:
        self._task, self._composer, self._encode, self._device, self._log = task, composer, encode, device, log

    @torch.no_grad()
    def make_usual(self) -> None:
        """Encode pictures of 256 × 256 until all are or the time for it is over."""
        task, effort, log = self._task, self._task.effort, self._log
        specs, tokens = self._invent(effort.pictures, task.seed)
        log(f"{len(specs)} pictures invented")
        batch = min(BATCH, len(specs), effort.edges or BATCH)
        encode = compiled(
            self._encode,
            lambda one: _use(one(torch.rand(batch, 3, SIZE, SIZE, device=self._device))),
            effort.compile and self._device.type == "cuda",
            log,
        )
        count = len(specs) // batch * batch
        latents = torch.empty(count, 4, SIZE // 8, SIZE // 8, dtype=torch.float16, device=self._device)
        edges = torch.empty(
            min(effort.edges, count) // batch * batch, SIZE, SIZE, dtype=torch.uint8, device=self._device
        )
        begun, done = time.monotonic(), 0
        torch.manual_seed(task.seed)
        while done < count and (done < len(edges) or time.monotonic() - begun < ENCODING_SECONDS):
            some = slice(done, done + batch)
            pictures = self._composer.compose(specs[some])
            latents[some] = encode(pictures).to(torch.float16)
            if done < len(edges):
                edges[some] = _random_edges(pictures)
            done += batch
        latents = latents[:done]
        self._check(latents)
        log(f"{done} pictures encoded in {time.monotonic() - begun:.1f} s")
        np.save(task.folder / "edges.npy", edges.cpu().numpy())
        self._write("usual", latents, tokens[:done])
        (task.folder / MADE).touch()
        log("pictures written")

    @torch.no_grad()
    def make_others(self) -> None:
        """Encode pictures of each other size."""
        task, each = self._task, self._task.effort.other_pictures
        specs, tokens = self._invent(each * len(OTHER_SIZES), task.seed + SEEDS_APART // 2)
        batch = min(BATCH // 4, each)
        for place, (height, width) in enumerate(OTHER_SIZES):
            own = specs[place * each : (place + 1) * each]
            latents = [
                self._encode(self._composer.compose(own[some], height, width)).to(torch.float16)
                for some in batches(own, batch)
            ]
            self._write(_other(height, width), torch.cat(latents), tokens[place * each : (place + 1) * each])
        (task.folder / OTHERS_MADE).touch()
        self._log("pictures of other sizes written")

    def _invent(self, pictures: int, seed: int) -> tuple[SpecArray, np.ndarray[Any, np.dtype[np.int16]]]:
        task, effort = self._task, self._task.effort
        specs, tokens = sample_tokens(
            shares(task.data, pictures, seed, effort.scenes_each, task.processes, CAPTIONS), task.processes
        )
        return specs[:pictures], tokens[:pictures]

    def _check(self, latents: torch.Tensor) -> None:
        some = latents[:4096].float()
        deviation = float(some.std())
        if not bool(torch.isfinite(latents).all()) or not DEVIATIONS[0] < deviation < DEVIATIONS[1]:
            cause = f"The autoencoder of {self._task.model} makes latents with a deviation of {deviation:.2f}, not 1."
            raise LatenttyError(Problem(code="model_damaged", cause=cause, hint="Train the autoencoder anew."))

    def _write(self, name: str, latents: torch.Tensor, tokens: np.ndarray[Any, np.dtype[np.int16]]) -> None:
        np.save(self._task.folder / f"{name}-latents.npy", latents.cpu().numpy())
        np.save(self._task.folder / f"{name}-tokens.npy", tokens)


def _random_edges(pictures: torch.Tensor) -> torch.Tensor:
    """Edges of `pictures` by random thresholds and thicknesses, (n, h, w), 0 or 255."""
    count, device = len(pictures), pictures.device
    high = torch.rand(count, device=device) * 0.5 + 0.12
    return (edge_maps(pictures, high * 0.4, high, torch.randint(0, 3, (count,), device=device))[:, 0] * 255).byte()


def _use(latents: torch.Tensor) -> None:
    """Wait until `latents` are computed."""
    latents.sum().item()


def _other(height: int, width: int) -> str:
    return f"{height}x{width}"


def _read(folder: Path, name: str, device: torch.device) -> Latents:
    latents, tokens = (torch.from_numpy(np.load(folder / f"{name}-{part}.npy")) for part in ("latents", "tokens"))
    return Latents(latents, tokens).to(device)
