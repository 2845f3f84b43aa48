"""Chooses subjects, and how each is drawn, coloured and named."""

from itertools import accumulate
from random import Random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tui.bundled.training.catalogue import Catalogue, Look, Subject
from tui.bundled.training.spec import Tint
from tui.bundled.training.vocabulary import plural, vocabulary

LOOK_WEIGHTS: Final[dict[Look, float]] = {"noto": 0.31, "glossy": 0.29, "flat": 0.40}

POPULAR_WEIGHT: Final = 1.35
SYMBOL_WEIGHT: Final = 0.8

LARGE_GROUPS: Final = ("Animals & Nature", "Travel & Places")
"""Groups of large things: several of one are drawn smaller than anybody thinks of it, and so shown more often."""

LARGE_CHANCE: Final = 0.5
"""How often several things are to be large ones, beside those that are so by luck."""

NAMED_TINTS: Final[dict[Tint, float]] = {"black": 0, "white": 0, "gray": 0, "brown": 0.07, "golden": 0.125}
"""Tints that are no pure hue, with the hue that each has."""

COLOUR_WORDS: Final = (*NAMED_TINTS, "grey", "gold")
"""Words of names that tell a colour which is no pure hue."""

NEAR_HUE: Final = 0.06
"""How far, of 1, the hue of what is drawn may be from the one that its name tells."""

FIXED_NAMES: Final = ("heart", "rainbow", "city", "globe", "earth")
"""Subjects with one of these in their name are never recoloured."""

TOLD_CHANCE: Final = 0.5
"""How often a subject whose usual name tells a hue gets just that one."""

FIXED_GROUPS: Final = ("People & Body", "Symbols")
"""Groups whose subjects are never recoloured."""

MIN_HUE_SHARE: Final = 0.3
"""The share of a drawing that must have its dominant hue for it to be recoloured."""


class Role(Struct, frozen=True):
    """A subject as one of its drawings shows it."""

    subject: int
    look: Look
    drawing: int
    height: float
    """Of what is drawn, against the longer side."""
    width: float
    """The same."""
    tint: Tint = "own"
    hue: float = 0
    colour: str = ""
    """The word for its new colour; empty when it has its own."""


class Cast:
    """All subjects that can be drawn, chosen from with `random`."""

    def __init__(self, catalogue: Catalogue, random: Random) -> None:
        self._random = random
        self._subjects = catalogue.subjects
        self._drawings = catalogue.drawings
        self._by_look: dict[int, dict[Look, int]] = {}
        for index, drawing in enumerate(catalogue.drawings):
            self._by_look.setdefault(drawing.subject, {})[drawing.look] = index
        drawn = [one for one in catalogue.subjects if one.id in self._by_look and not _is_never_drawn(one)]
        self._ids = [one.id for one in drawn]
        self._weights = list(accumulate(_weight(one) for one in drawn))
        named = {name: one.id for one in drawn for name in one.names}
        self._heads = [named[name] for name in vocabulary().heads if name in named]
        self._hats = {name: named[name] for name in vocabulary().hats if name in named}

    def subject(self) -> int:
        """Any subject; popular ones more often."""
        return self._random.choices(self._ids, cum_weights=self._weights)[0]

    def other_than(self, subject: int) -> int:
        """Any other subject."""
        while (other := self.subject()) == subject:
            pass
        return other

    def countable(self) -> int:
        """A subject of which there can be several, often a large one; any, should luck not find one."""
        large = self._random.random() < LARGE_CHANCE
        subject = self.subject()
        for _ in range(20):
            one = self._subjects[subject]
            if plural(one.names[0]) and (one.group in LARGE_GROUPS or not large):
                break
            subject = self.subject()
        return subject

    def head_and_hat(self) -> tuple[int, int, float]:
        """A subject that may wear a hat, a hat, and how wide that is on a head of width 1."""
        head, hat = self._random.choice(self._heads), self._random.choice(list(self._hats))
        return head, self._hats[hat], vocabulary().hats[hat]

    def role(self, subject: int, like: Look | None = None) -> Role:
        """`subject` in one of its looks; in that of `like` where it has it."""
        looks = self._by_look[subject]
        if like is None or like not in looks:
            like = self._random.choices(list(looks), [LOOK_WEIGHTS[look] for look in looks])[0]
        width, height = self._drawings[looks[like]].extent
        return Role(subject, like, looks[like], height, width)

    def recoloured(self, role: Role, chance: float) -> Role:
        """`role` in another colour, by `chance`, where its drawing and its meaning allow it.

        One whose usual name tells a hue gets that very one: green apples are drawn yellowish at times.
        """
        own = _told_hue(self._subjects[role.subject].names[0])
        if self._random.random() > (chance if own is None else TOLD_CHANCE) or not self._may_be_recoloured(role):
            return role
        if own is not None:
            return replace(role, tint="hue", hue=own)
        if self._random.random() < 0.75:
            colour = self._random.choice(list(vocabulary().subject_hues))
            return replace(role, tint="hue", hue=vocabulary().subject_hues[colour], colour=colour)
        tint = self._random.choice(list(NAMED_TINTS))
        return replace(role, tint=tint, hue=NAMED_TINTS[tint], colour=tint)

    def name(self, role: Role) -> str:
        """One of the names of `role`, mostly the first, and none that tells another colour than it has."""
        names = self._subjects[role.subject].names
        first, *others = [name for name in names if self._suits(name, role)] or names[:1]
        return self._random.choice(others) if others and self._random.random() >= 0.6 else first

    def names_of_several(self, role: Role) -> str:
        """One of the names of `role`, in the plural where it has one."""
        name = self.name(role)
        return plural(name) or plural(self._subjects[role.subject].names[0]) or name

    def _suits(self, name: str, role: Role) -> bool:
        """Whether `name` tells no colour, or that of `role`."""
        told = _told_hue(name)
        if told is None:
            return role.tint == "own" or bool(role.colour and not _tells_colour(name))
        hue = self._drawings[role.drawing].hue if role.tint == "own" else role.hue
        return not role.colour and abs((hue - told + 0.5) % 1 - 0.5) <= NEAR_HUE

    def _may_be_recoloured(self, role: Role) -> bool:
        subject = self._subjects[role.subject]
        if self._drawings[role.drawing].hue_share < MIN_HUE_SHARE or subject.group in FIXED_GROUPS:
            return False
        return not any(word in subject.names[0] for word in FIXED_NAMES) and not _tells_colour(subject.names[0])


def _told_hue(name: str) -> float | None:
    """The hue, 0 to 1, that `name` tells; None when it tells none."""
    hues = vocabulary().subject_hues
    return next((hues[word] for word in name.split() if word in hues), None)


def _tells_colour(name: str) -> bool:
    """Whether `name` tells a colour that is no pure hue."""
    return any(word in COLOUR_WORDS for word in name.split())


def _is_never_drawn(subject: Subject) -> bool:
    return subject.names[0] in vocabulary().never_drawn


def _weight(subject: Subject) -> float:
    if subject.popular:
        return POPULAR_WEIGHT
    return SYMBOL_WEIGHT if subject.group == "Symbols" else 1.0
