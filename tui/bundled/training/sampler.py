"""Invents pictures: what each shows and how captions tell it, all from one seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tui.bundled.training.backgrounds import Choice, choose_background, scene_background
from tui.bundled.training.captions import write_caption
from tui.bundled.training.cast import Cast, Role
from tui.bundled.training.catalogue import Catalogue
from tui.bundled.training.spec import Placed, Spec
from tui.bundled.training.vocabulary import vocabulary, with_article

SHADOW: Final = 0.35

FILLED: Final = 0.96
"""The share of a sprite's side that its longer side fills."""

POSITIONS: Final = {
    "left": ["on the left", "on the left side", "left"],
    "right": ["on the right", "on the right side", "right"],
    "top": ["at the top", "on top"],
    "bottom": ["at the bottom", "below"],
}
"""What captions call each side of the picture."""

Sample = tuple[Spec, list[str]]
"""A picture and its captions."""


@dataclass
class Layout:
    """Where a picture's only subject is."""

    size: float
    x: float
    y: float
    size_word: str = ""
    positions: list[str] = field(default_factory=list)
    """Words for where it is."""


class Sampler:
    """Picture after picture, the same ones for the same catalogue and seed.

    Args:
        catalogue: what there is to draw.
        seed: of everything that is chosen.
        scenes_each: pictures that the bank holds of each scene.
    """

    def __init__(self, catalogue: Catalogue, seed: int, scenes_each: int) -> None:
        self._random = Random(seed)
        self._cast = Cast(catalogue, self._random)
        self._scenes_each = scenes_each

    def sample(self, captions: int = 3) -> Sample:
        """The next picture, with as many `captions` of it."""
        chance = self._random.random()
        if chance < 0.025:
            return self._scene_alone(captions)
        behind = choose_background(self._random, self._scenes_each)
        if chance < 0.145:
            return self._two_subjects(behind, captions)
        if chance < 0.325:
            return self._several(behind, captions)
        if chance < 0.35:
            return self._with_hat(behind, captions)
        return self._one_subject(behind, captions)

    def _scene_alone(self, captions: int) -> Sample:
        random = self._random
        name = random.choice(list(vocabulary().scenes))
        spec = Spec(scene_background(random, name, self._scenes_each))
        alone = vocabulary().scenes[name].alone
        return spec, [write_caption(random, random.choice(alone)) for _ in range(captions)]

    def _one_subject(self, behind: Choice, captions: int) -> Sample:
        random, ground = self._random, _has_ground(behind)
        role = self._cast.recoloured(self._cast.role(self._cast.subject()), 0.42)
        layout = self._layout(role, behind)
        turn = random.uniform(-0.35, 0.35) if random.random() < 0.06 else 0.0
        upside_down = not ground and random.random() < 0.012
        if upside_down:
            turn = math.pi
        shadow = SHADOW if ground and not layout.positions else 0
        sprite = _placed(role, layout.x, layout.y, layout.size, self._coin(), shadow, turn)

        def caption() -> str:
            name = self._cast.name(role)
            words = [word for word in (layout.size_word, role.colour) if word]
            if random.random() < 0.06 and not layout.size_word:
                words = [random.choice(vocabulary().adjectives), *words]
            told = " ".join([*words, name])
            core = with_article(random, told, name)
            if upside_down:
                core = random.choice([with_article(random, f"upside down {told}", name), f"{core} upside down"])
            position = random.choice(layout.positions) if layout.positions else ""
            return write_caption(random, core, behind.clauses, role.look, position)

        return Spec(behind.background, (sprite,)), _repeated(caption, captions)

    def _layout(self, role: Role, behind: Choice) -> Layout:
        """Mostly in the middle, at times small, big or at a side."""
        random, ground = self._random, _has_ground(behind)
        size = random.uniform(0.64, 0.88)
        layout = Layout(size, 0.5 + random.uniform(-0.05, 0.05), 0.5 + random.uniform(-0.05, 0.05))
        if ground:
            layout.size = random.uniform(0.5, 0.74)
        elif behind.scene:
            layout.size = random.uniform(0.45, 0.75)
        chance = random.random()
        if chance < 0.09:
            layout.size_word = random.choice(["small", "tiny", "small"])
            layout.size = random.uniform(0.26, 0.38)
            layout.x, layout.y = 0.5 + random.uniform(-0.15, 0.15), 0.5 + random.uniform(-0.12, 0.12)
        elif chance < 0.18:
            layout.size_word = random.choice(["big", "large", "huge", "giant"])
            layout.size = random.uniform(0.84, 0.95) if ground else random.uniform(0.95, 1.08)
        elif chance < 0.28:
            self._move_to_side(layout, random.choice(list(POSITIONS)))
        if ground and layout.positions not in (POSITIONS["top"], POSITIONS["bottom"]):
            layout.y = _standing(role, random.uniform(0.84, 0.92), layout.size)
        return layout

    def _move_to_side(self, layout: Layout, side: str) -> None:
        layout.positions = POSITIONS[side]
        layout.size = self._random.uniform(0.36, 0.5)
        far = 0.5 - layout.size / 2 - self._random.uniform(0, 0.05)
        match side:
            case "left":
                layout.x = 0.5 - far
            case "right":
                layout.x = 0.5 + far
            case "top":
                layout.y = 0.5 - far
            case _:
                layout.y = 0.5 + far

    def _two_subjects(self, behind: Choice, captions: int) -> Sample:
        random, cast, ground = self._random, self._cast, _has_ground(behind)
        first = cast.subject()
        second = cast.other_than(first)
        one = cast.role(first)
        other = cast.role(second, one.look)
        stacked = not ground and random.random() < 0.22
        size, other_size = random.uniform(0.38, 0.46), random.uniform(0.38, 0.46)
        one, other = cast.recoloured(one, 0.16), cast.recoloured(other, 0.16)
        if stacked:
            upper = _placed(one, 0.5 + random.uniform(-0.06, 0.06), 0.27, size, self._coin())
            lower = _placed(other, 0.5 + random.uniform(-0.06, 0.06), 0.73, other_size, self._coin())
            sprites = (upper, lower)
        else:
            y = other_y = 0.5 + random.uniform(-0.04, 0.04)
            if ground:
                base = random.uniform(0.80, 0.90)
                y, other_y = _standing(one, base, size), _standing(other, base, other_size)
            shadow = SHADOW if ground else 0
            left = _placed(one, 0.265, y, size, self._coin(), shadow)
            right = _placed(other, 0.735, other_y, other_size, self._coin(), shadow)
            sprites = (left, right)
        look = one.look if one.look == other.look else None

        def caption() -> str:
            names = cast.name(one), cast.name(other)
            told, told_other = (
                with_article(random, f"{role.colour} {name}".strip(), name)
                for role, name in zip((one, other), names, strict=True)
            )
            core = random.choice(_stacked(told, told_other) if stacked else _side_by_side(told, told_other))
            return write_caption(random, core, behind.clauses, look)

        return Spec(behind.background, sprites), _repeated(caption, captions)

    def _several(self, behind: Choice, captions: int) -> Sample:
        random, cast, ground = self._random, self._cast, _has_ground(behind)
        role = cast.role(cast.countable())
        count = random.choices([2, 3, 4], [0.45, 0.35, 0.2])[0]
        role = cast.recoloured(role, 0.18)
        flipped, base = self._coin(), random.uniform(0.78, 0.88)
        places, size = self._places(count, ground)
        stands = ground and count < 4
        sprites = tuple(
            _placed(role, x, _standing(role, base, size) if stands else y, size, flipped, SHADOW if stands else 0)
            for x, y in places
        )

        def caption() -> str:
            names = cast.names_of_several(role)
            words = [random.choice(vocabulary().counts[count]), role.colour, names]
            return write_caption(random, " ".join(word for word in words if word), behind.clauses, role.look)

        return Spec(behind.background, sprites), _repeated(caption, captions)

    def _places(self, count: int, ground: bool) -> tuple[list[tuple[float, float]], float]:
        """Where `count` of the same are, and how big each is: a fifth of that apart at least, so that none touch."""
        random = self._random
        if count == 2:
            return [(0.26, 0.5), (0.74, 0.5)], random.uniform(0.34, 0.41)
        if count == 3 and (ground or random.random() < 0.5):
            return [(0.18, 0.5), (0.5, 0.5), (0.82, 0.5)], random.uniform(0.22, 0.27)
        if count == 3:
            return [(0.27, 0.72), (0.73, 0.72), (0.5, 0.27)], random.uniform(0.31, 0.38)
        return [(0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73)], random.uniform(0.31, 0.38)

    def _with_hat(self, behind: Choice, captions: int) -> Sample:
        random, cast = self._random, self._cast
        head, hat, hat_width = cast.head_and_hat()
        wearer = cast.role(head)
        worn = cast.role(hat, wearer.look)
        size, x, y = random.uniform(0.56, 0.66), 0.5 + random.uniform(-0.03, 0.03), 0.60
        hat_size = size * wearer.width * hat_width
        hat_y = max(_standing(wearer, y, size) - hat_size * worn.height * 0.28, hat_size * worn.height * 0.46)
        sprites = (_placed(wearer, x, y, size, self._coin()), _placed(worn, x, hat_y, hat_size, flipped=False))

        def caption() -> str:
            name, hat_name = cast.name(wearer), cast.name(worn)
            core = with_article(random, name, name) + random.choice(
                [
                    f" wearing a {hat_name}",
                    f" with a {hat_name}",
                    f" with a {hat_name} on its head",
                    f" in a {hat_name}",
                ]
            )
            return write_caption(random, core, behind.clauses, wearer.look)

        return Spec(behind.background, sprites), _repeated(caption, captions)

    def _coin(self) -> bool:
        return self._random.random() < 0.5


def _has_ground(behind: Choice) -> bool:
    return behind.scene is not None and vocabulary().scenes[behind.scene].ground


def _standing(role: Role, base: float, size: float) -> float:
    """The middle of a sprite whose drawing stands on `base`."""
    return base - size * role.height / 2 * FILLED


def _placed(role: Role, x: float, y: float, size: float, flipped: bool, shadow: float = 0, turn: float = 0) -> Placed:
    return Placed(role.drawing, x, y, size, turn, flipped, shadow, role.tint, role.hue)


def _repeated(caption: Callable[[], str], count: int) -> list[str]:
    return [caption() for _ in range(count)]


def _stacked(upper: str, lower: str) -> list[str]:
    return [
        f"{upper} above {lower}",
        f"{upper} on top of {lower}",
        f"{lower} below {upper}",
        f"{lower} under {upper}",
        f"{upper} over {lower}",
    ]


def _side_by_side(left: str, right: str) -> list[str]:
    return [
        *[f"{left} and {right}"] * 6,
        f"{left} next to {right}",
        f"{left} with {right}",
        f"{left} beside {right}",
        f"{left} on the left and {right} on the right",
        f"{right} on the right and {left} on the left",
        f"{left} to the left of {right}",
        f"{right} to the right of {left}",
    ]
