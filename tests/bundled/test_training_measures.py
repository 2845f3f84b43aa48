"""The measures of a finished model: they see what is there, and count a model right only for what it drew."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tui.bundled.training.__main__ import main
from tui.bundled.training.catalogue import Catalogue, read_catalogue
from tui.bundled.training.compose import Composer
from tui.bundled.training.evaluate import FILE, evaluate
from tui.bundled.training.measures import Bytes, bounds, count_things, nearest_background, nearest_subject_hue
from tui.bundled.training.painter import Painter
from tui.bundled.training.scenes import draw_scene
from tui.bundled.training.spec import Background, Placed, Spec, pack
from tui.bundled.training.sprites import read_sprites
from tui.bundled.training.vocabulary import vocabulary

WHITE = (0.99, 0.99, 0.99)


class Draughtsman(Painter):
    """Draws the subjects that a prompt names, side by side on white, from the true drawings."""

    def __init__(self, data: Path, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        sprites = read_sprites(data, catalogue, 1)
        self._composer = Composer(sprites, catalogue, np.stack([draw_scene("sky", 0)]), "cpu")

    def draw(self, names: Sequence[str], rgb: tuple[float, float, float] = WHITE) -> Bytes:
        """The subjects `names` in a row on the colour `rgb`, 0 to 1."""
        numbers = [next(one.id for one in self._catalogue.subjects if name in one.names) for name in names]
        drawings = [[one.subject for one in self._catalogue.drawings].index(number) for number in numbers]
        share = 1 / len(drawings)
        sprites = [Placed(drawing, share * (place + 0.5), 0.5, share * 0.85) for place, drawing in enumerate(drawings)]
        spec = Spec(Background(first=rgb, second=rgb), tuple(sprites))
        picture = self._composer.compose(pack([spec]))[0].permute(1, 2, 0)
        return np.asarray((picture * 255).round().byte().numpy())

    def paint(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        negative: str = "",
        guidance: float | None = None,
        batch: int = 5,
    ) -> list[Bytes]:
        return [self.draw([part.removeprefix("a ") for part in _subjects(prompt)]) for prompt in prompts]


class Amnesiac(Draughtsman):
    """Draws a fox, whatever is asked."""

    def draw(self, names: Sequence[str], rgb: tuple[float, float, float] = WHITE) -> Bytes:
        return super().draw(["fox"] * len(names), rgb)


def _subjects(prompt: str) -> list[str]:
    return re.sub(r" on a white background.*", "", prompt).split(" and ")


@pytest.fixture(scope="module")
def catalogue(data: Path) -> Catalogue:
    return read_catalogue(data)


def test_colours_and_counts_are_seen_where_they_are(data: Path, catalogue: Catalogue) -> None:
    draughtsman = Draughtsman(data, catalogue)
    hues = vocabulary().subject_hues
    for colour in ("blue", "yellow", "black", "turquoise"):
        red, green, blue = (value / 255 for value in vocabulary().colours[colour].rgb)
        picture = draughtsman.draw(["frog"], (red, green, blue))
        assert nearest_background(picture, vocabulary().colours) == colour
        assert nearest_subject_hue(picture, hues) == "green"
    assert [count_things(draughtsman.draw(["crown"] * count)) for count in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert nearest_subject_hue(draughtsman.draw(["rocket"]), hues) == "blue"
    assert bounds(np.full((256, 256, 3), 252, np.uint8)) == (0, 0, 256, 256)


def test_only_what_was_drawn_counts_as_right(data: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    names = ["popular-subjects", "two-subjects"]
    for painter, out in ((Draughtsman(data, catalogue), "good"), (Amnesiac(data, catalogue), "bad")):
        evaluate(painter, data, tmp_path / out, names, Console(quiet=True))
        assert (tmp_path / out / "two-subjects.png").stat().st_size > 1000
    good, bad = (json.loads((tmp_path / out / FILE).read_bytes()) for out in ("good", "bad"))
    assert [good[name]["right"] == good[name]["of"] > 0 for name in names] == [True, True]
    assert "missed" not in good["two-subjects"]
    assert bad["popular-subjects"]["right"] == 1
    assert bad["two-subjects"]["right"] == 0
    assert len(bad["two-subjects"]["missed"]) == 40


def test_an_unknown_measure_is_told_with_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), str(tmp_path), str(tmp_path), "--only", "beauty"]) == 1
    told = capsys.readouterr().err
    assert "There is no measure beauty." in told
    assert "two-subjects" in told


def test_a_folder_that_is_no_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path), str(tmp_path), str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "cannot be loaded" in told
    assert "Name the folder of a diffusers model." in told
