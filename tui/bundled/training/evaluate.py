"""Measures a finished model by what it draws: figures into `figures.json`, what was drawn onto sheets beside it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from PIL import Image
from rich.console import Console

from tui.bundled.training.catalogue import LOOKS, Catalogue, Look, Subject, read_catalogue
from tui.bundled.training.measures import (
    Bytes,
    count_things,
    difference,
    nearest_background,
    nearest_subject_hue,
)
from tui.bundled.training.painter import Painter
from tui.bundled.training.retrieval import Gallery, halves
from tui.bundled.training.sheets import labelled_sheet
from tui.bundled.training.sprites import decode_sprite, read_sprite_files
from tui.bundled.training.subjects import tables
from tui.bundled.training.vocabulary import plural, vocabulary
from tui.library.folders import make_folder
from tui.protocol.problem import LatenttyError, Problem

FILE: Final = "figures.json"

BACKGROUNDS: Final = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "gray",
    "black",
    "white",
    "turquoise",
)
ON_BACKGROUNDS: Final = ("a cat", "a rocket", "an apple", "a house", "a smiley")

SUBJECT_COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
COLOURED: Final = ("car", "apple", "mushroom", "balloon", "fish", "umbrella", "flower", "dragon")

COUNTED: Final = ("apples", "hearts", "stars", "cats", "cars", "balloons", "mushrooms", "smileys")

SCENES: Final = (
    "a smiley wearing a top hat",
    "a fox wearing a crown",
    "an astronaut on the moon",
    "a house in the mountains",
    "a green car in the city",
    "three balloons in the sky",
    "a sunflower in a garden",
    "a mushroom in a forest",
    "a penguin in the snow",
    "a ghost at night",
    "a watermelon on the beach",
    "a robot in a neon city",
    "a tropical fish underwater",
    "a cactus in the desert",
    "a pumpkin in front of fire",
    "a panda with a rainbow",
)

CHANGED: Final = 4.0
"""The mean difference, of 255, from which on anybody sees that two pictures are not the same."""


class Figure(Struct, frozen=True, omit_defaults=True):
    """How often a model did what was asked."""

    right: int
    of: int
    top_5: int | None = None
    """How often it was among the five likeliest, where there are so many to choose from."""
    missed: list[str] = []

    def __str__(self) -> str:
        share = f"{self.right} of {self.of} ({100 * self.right / self.of:.0f} %)"
        return share if self.top_5 is None else f"{share}, among the first five {self.top_5}"


class Evaluation:
    """Everything that the measures need, and the sheets they leave."""

    def __init__(self, painter: Painter, data: Path, out: Path) -> None:
        self._painter = painter
        self._out = out
        self._catalogue: Catalogue = read_catalogue(data)
        self._files = read_sprite_files(data, self._catalogue)
        self._gallery = Gallery(data, self._catalogue)
        random, subjects = Random(0), self._catalogue.subjects
        true = random.sample(range(len(self._files)), min(60, len(self._files)))
        self._true: Final = [(drawing, random.randint(160, 220)) for drawing in true]
        self._popular: Final = _asked(random, [subject for subject in subjects if subject.popular])
        self._other: Final = _asked(random, [subject for subject in subjects if not subject.popular])

    def backgrounds(self) -> Figure:
        """The colour behind the subject is the named one."""
        prompts = [f"{subject} on a {colour} background" for colour in BACKGROUNDS for subject in ON_BACKGROUNDS]
        wanted = [colour for colour in BACKGROUNDS for _ in ON_BACKGROUNDS]
        pictures = self._paint("backgrounds", prompts, range(len(prompts)), 10)
        return _figure(prompts, [nearest_background(one, BACKGROUNDS) for one in pictures], wanted)

    def subject_colours(self) -> Figure:
        """The subject has the named colour."""
        hues = {colour: vocabulary().subject_hues[colour] for colour in SUBJECT_COLOURS}
        prompts = [f"a {colour} {subject}" for subject in COLOURED for colour in hues]
        pictures = self._paint("subject-colours", prompts, range(len(prompts)), len(hues))
        return _figure(prompts, [nearest_subject_hue(one, hues) for one in pictures], list(hues) * len(COLOURED))

    def counts(self) -> Figure:
        """There are as many as named."""
        words = {count: names[0] for count, names in vocabulary().counts.items()}
        prompts = [f"{word} {subjects} on a white background" for subjects in COUNTED for word in words.values()]
        pictures = self._paint("counts", prompts, range(len(prompts)), len(words) * 3)
        return _figure(prompts, [count_things(one) for one in pictures], list(words) * len(COUNTED))

    def drawings_themselves(self) -> Figure:
        """True drawings through the autoencoder are known again: as well as any model could do."""
        subjects = [self._catalogue.drawings[drawing].subject for drawing, _ in self._true]
        names = [self._catalogue.subjects[subject].names[0] for subject in subjects]
        seen = [self._painter.through_vae(self._on_white(drawing, edge)) for drawing, edge in self._true]
        return self._known(names, seen, subjects)

    def popular_subjects(self) -> Figure:
        """A popular subject is known again among all."""
        return self._subjects("popular-subjects", self._popular)

    def other_subjects(self) -> Figure:
        """Any other subject is known again among all."""
        return self._subjects("other-subjects", self._other)

    def two_subjects(self) -> Figure:
        """Of two subjects, each is known again among all in a half of its own."""
        random = Random(1)
        single = [one for one in self._catalogue.subjects if one.popular and plural(one.names[0])]
        pairs = [random.sample(single, 2) for _ in range(40)]
        prompts = [f"a {one.names[0]} and a {other.names[0]} on a white background" for one, other in pairs]
        pictures = self._paint("two-subjects", prompts, range(len(prompts)), 8)
        ranks = [self._pair_rank(picture, pair) for picture, pair in zip(pictures, pairs, strict=True)]
        return _ranked(prompts, ranks)

    def looks(self) -> Figure:
        """A subject is drawn in the named one of its looks."""
        drawn = [one for one in self._catalogue.subjects if one.popular and len(one.icons) == len(LOOKS)]
        subjects = Random(2).sample(drawn, min(20, len(drawn)))
        asked = [(subject, look) for subject in subjects for look in LOOKS]
        prompts = [_prompt(subject, look) for subject, look in asked]
        pictures = self._paint("looks", prompts, [index // len(LOOKS) for index in range(len(asked))], 9)
        seen = [
            self._gallery.nearest_look(picture, subject.id)
            for picture, (subject, _) in zip(pictures, asked, strict=True)
        ]
        return _figure(prompts, seen, [look for _, look in asked])

    def seeds(self) -> Figure:
        """Another seed draws another picture."""
        pictures = self._paint("seeds", [prompt for prompt in SCENES for _ in range(2)], range(2 * len(SCENES)), 8)
        return self._changed(pictures[::2], pictures[1::2])

    def negative(self) -> Figure:
        """A negative prompt changes the picture."""
        seeds = range(len(SCENES))
        plain = self._painter.paint(SCENES, seeds)
        return self._changed(plain, self._painter.paint(SCENES, seeds, negative="flat style, white background"))

    def guidance(self) -> Figure:
        """Guidance changes the picture."""
        seeds = range(len(SCENES))
        weak, strong = (self._painter.paint(SCENES, seeds, guidance=scale) for scale in (2.0, 8.0))
        return self._changed(weak, strong)

    def _subjects(self, name: str, asked: Sequence[tuple[Subject, Look]]) -> Figure:
        prompts = [_prompt(subject, look) for subject, look in asked]
        pictures = self._paint(name, prompts, range(len(prompts)), 10)
        return self._known(prompts, pictures, [subject.id for subject, _ in asked])

    def _known(self, labels: Sequence[str], pictures: Sequence[Bytes], subjects: Sequence[int]) -> Figure:
        ranks = [self._gallery.rank(one, subject) for one, subject in zip(pictures, subjects, strict=True)]
        return _ranked(labels, ranks)

    def _pair_rank(self, picture: Bytes, pair: Sequence[Subject]) -> int:
        """The worse rank of the two, each in a half of its own, whichever that is."""
        left, right = halves(picture)
        one, other = (subject.id for subject in pair)
        return min(
            max(self._gallery.rank(left, one), self._gallery.rank(right, other)),
            max(self._gallery.rank(left, other), self._gallery.rank(right, one)),
        )

    def _changed(self, before: Sequence[Bytes], after: Sequence[Bytes]) -> Figure:
        changed = [difference(*pair) > CHANGED for pair in zip(before, after, strict=True)]
        return _figure(SCENES, changed, [True] * len(changed))

    def _on_white(self, drawing: int, edge: int) -> Bytes:
        sprite = Image.fromarray(decode_sprite(self._files[drawing]))
        sprite = sprite.resize((edge, edge), Image.Resampling.LANCZOS)
        canvas = Image.new("RGB", (256, 256), (252, 252, 252))
        canvas.paste(sprite, (128 - edge // 2, 128 - edge // 2), sprite)
        return np.asarray(canvas)

    def _paint(self, name: str, prompts: Sequence[str], seeds: Sequence[int], columns: int) -> list[Bytes]:
        """What is drawn, also put onto the sheet `name`."""
        pictures = self._painter.paint(prompts, seeds)
        labelled_sheet(pictures, prompts, columns, 128).save(self._out / f"{name}.png")
        return pictures


MEASURES: Final[dict[str, Callable[[Evaluation], Figure]]] = {
    "backgrounds": Evaluation.backgrounds,
    "subject-colours": Evaluation.subject_colours,
    "counts": Evaluation.counts,
    "drawings-themselves": Evaluation.drawings_themselves,
    "popular-subjects": Evaluation.popular_subjects,
    "other-subjects": Evaluation.other_subjects,
    "two-subjects": Evaluation.two_subjects,
    "looks": Evaluation.looks,
    "seeds": Evaluation.seeds,
    "negative": Evaluation.negative,
    "guidance": Evaluation.guidance,
}


def evaluate(painter: Painter, data: Path, out: Path, names: Sequence[str], console: Console) -> None:
    """Take the measures `names` and write them into `out`, beside those that are there already.

    Raises:
        LatenttyError: `data` holds no data, or `out` cannot be written.
    """
    path = out / FILE
    try:
        make_folder(out)
        evaluation = Evaluation(painter, data, out)
        figures = msgspec.json.decode(path.read_bytes(), type=dict[str, Figure]) if path.exists() else {}
        for name in names:
            with console.status(name):
                figures[name] = MEASURES[name](evaluation)
            console.print(f"{name}: {figures[name]}")
            path.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    except OSError as error:
        cause = f"The figures cannot be written to {out}: {error.strerror}."
        hint = "Name another folder, or make room there."
        raise LatenttyError(Problem(code="output_unwritable", cause=cause, hint=hint)) from None


def _asked(random: Random, subjects: Sequence[Subject]) -> list[tuple[Subject, Look]]:
    """Up to 80 of `subjects`, each in one of its looks."""
    return [(one, random.choice(list(one.icons))) for one in random.sample(subjects, min(80, len(subjects)))]


def _prompt(subject: Subject, look: Look) -> str:
    name = subject.names[0]
    return f"{'' if name in tables().uncounted else 'a '}{name} on a white background, {look} style"


def _figure(labels: Sequence[str], seen: Sequence[object], wanted: Sequence[object]) -> Figure:
    missed = [f"{label}: {one}" for label, one, other in zip(labels, seen, wanted, strict=True) if one != other]
    return Figure(len(labels) - len(missed), len(labels), missed=missed)


def _ranked(labels: Sequence[str], ranks: Sequence[int]) -> Figure:
    missed = [f"{label}: rank {rank + 1}" for label, rank in zip(labels, ranks, strict=True) if rank]
    return Figure(len(ranks) - len(missed), len(ranks), sum(rank < 5 for rank in ranks), missed)
