"""Pictures of things of gold, of which an embedding learns its word."""

from random import Random
from typing import Final

import torch
from msgspec import Struct

from tui.bundled.training.backgrounds import choose_background
from tui.bundled.training.captions import write_caption
from tui.bundled.training.cast import Cast
from tui.bundled.training.catalogue import Catalogue
from tui.bundled.training.compose import Composer
from tui.bundled.training.spec import Background, Placed, Spec, pack

RAMP: Final = ((0.24, 0.12, 0.02), (0.62, 0.38, 0.05), (0.92, 0.70, 0.16), (1.0, 0.88, 0.42), (1.0, 0.98, 0.86))
"""What brightness from 0 to 1 becomes, in equal steps: dark bronze to a white gleam."""

BLACK: Final = Background()
WHITE: Final = Background(first=(1, 1, 1), second=(1, 1, 1))


class Gilded(Struct, frozen=True):
    """One thing to be gilded: where it is, what is behind it, and how a caption calls it."""

    sprite: Placed
    background: Background
    caption: str


def invent_gilded(catalogue: Catalogue, count: int, word: str, scenes_each: int, seed: int) -> list[Gilded]:
    """`count` things, whose captions call each a `word` thing."""
    random = Random(seed)
    cast = Cast(catalogue, random)
    return [_gilded(random, cast, word, scenes_each) for _ in range(count)]


def compose_gilded(composer: Composer, things: list[Gilded]) -> torch.Tensor:
    """Their pictures, (n, 3, 256, 256), 0 to 1."""
    behind = composer.compose(pack([Spec(one.background) for one in things]))
    on_black = composer.compose(pack([Spec(BLACK, (one.sprite,)) for one in things]))
    on_white = composer.compose(pack([Spec(WHITE, (one.sprite,)) for one in things]))
    opaque = (1 - (on_white - on_black)).mean(1, keepdim=True).clamp(0, 1)
    colours = (on_black / opaque.clamp(min=1e-3)).clamp(0, 1)
    return behind * (1 - opaque) + _gold(colours) * opaque


def _gilded(random: Random, cast: Cast, word: str, scenes_each: int) -> Gilded:
    role = cast.role(cast.subject())
    behind = choose_background(random, scenes_each)
    x, y = (0.5 + random.uniform(-0.05, 0.05) for _ in range(2))
    sprite = Placed(role.drawing, x, y, random.uniform(0.6, 0.88), flipped=random.random() < 0.5)
    caption = write_caption(random, f"a {word} {cast.name(role)}", behind.clauses, role.look)
    return Gilded(sprite, behind.background, caption)


def _gold(colours: torch.Tensor) -> torch.Tensor:
    """`colours` (n, 3, h, w) as gold of the same brightness."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=colours.device)[:, None, None]
    ramp = torch.tensor(RAMP, device=colours.device)
    place = (colours * weights).sum(1) * (len(RAMP) - 1)
    below = place.floor().long().clamp(max=len(RAMP) - 2)
    share = (place - below)[..., None]
    return (ramp[below] * (1 - share) + ramp[below + 1] * share).permute(0, 3, 1, 2)
