"""Many pictures with their captions, made by several processes, the same ones however many those are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from tui.bundled.training.catalogue import read_catalogue
from tui.bundled.training.parallel import map_in_order
from tui.bundled.training.sampler import Sampler
from tui.bundled.training.spec import SpecArray, pack
from tui.bundled.training.tokenizer import FOLDER, encode, read_tokenizer


class Share(Struct, frozen=True):
    """One seed's share of a pool."""

    folder: Path
    """Where the catalogue is."""
    seed: int
    pictures: int
    captions: int = 3
    """Of each picture."""
    scenes_each: int = 100
    """Pictures that the bank holds of each scene."""


class Pool(Struct, frozen=True):
    """Pictures and what they are called."""

    specs: SpecArray
    """(n,)"""
    captions: list[list[str]]
    """Of each picture, the same number of each."""


def sample_share(share: Share) -> Pool:
    """The pictures of one share.

    Raises:
        LatenttyError: the folder has no catalogue.
    """
    sampler = Sampler(read_catalogue(share.folder), share.seed, share.scenes_each)
    samples = [sampler.sample(share.captions) for _ in range(share.pictures)]
    return Pool(pack([spec for spec, _ in samples]), [captions for _, captions in samples])


def sample_pool(shares: Sequence[Share], processes: int) -> Pool:
    """All `shares` behind each other.

    Raises:
        LatenttyError: a folder has no catalogue, or a process ended early.
    """
    pools = list(map_in_order(sample_share, shares, processes))
    return Pool(
        np.concatenate([pool.specs for pool in pools]), [captions for pool in pools for captions in pool.captions]
    )


def sample_tokens(share: Share) -> tuple[SpecArray, npt.NDArray[np.int16]]:
    """The pictures of one share: their specs (n,), and the tokens of their captions (n, captions, LENGTH).

    Raises:
        LatenttyError: the folder has no catalogue or no tokenizer.
    """
    pool = sample_share(share)
    return pool.specs, encode(read_tokenizer(share.folder / FOLDER), pool.captions)
