"""The data that the bundled model is made from: what is drawn, what captions say of it, and that seeds decide both."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from msgspec import structs

from tests.bundled.conftest import TOKENIZER, write_packages
from tui.bundled.training.__main__ import main
from tui.bundled.training.backgrounds import choose_background, near_colour
from tui.bundled.training.cast import Cast
from tui.bundled.training.catalogue import Catalogue, read_catalogue
from tui.bundled.training.compose import Composer
from tui.bundled.training.edges import edge_maps, pack_lines, unpack_lines
from tui.bundled.training.pool import Share, sample_pool
from tui.bundled.training.sampler import Sampler
from tui.bundled.training.scenes import SCENES, draw_scene
from tui.bundled.training.spec import Background, Placed, Spec, pack
from tui.bundled.training.sprites import read_sprites
from tui.bundled.training.tokenizer import decode, encode, learn_merges, read_tokenizer, training_texts, write_tokenizer
from tui.bundled.training.vocabulary import plural, vocabulary

WHITE = Background(first=(1, 1, 1), second=(1, 1, 1))


@pytest.fixture(scope="module")
def catalogue(data: Path) -> Catalogue:
    return read_catalogue(data)


@pytest.fixture(scope="module")
def composer(data: Path, catalogue: Catalogue) -> Composer:
    bank = np.stack([draw_scene(name, 0) for name in ("beach", "space")])
    return Composer(read_sprites(data, catalogue, 1), catalogue, bank, "cpu")


def drawing_of(catalogue: Catalogue, name: str) -> int:
    subject = next(one.id for one in catalogue.subjects if name in one.names)
    return next(index for index, one in enumerate(catalogue.drawings) if one.subject == subject)


def test_preparing_draws_every_subject_to_the_edge_of_its_sprite(data: Path, catalogue: Catalogue) -> None:
    assert [one.unicode for one in catalogue.subjects][:2] == ["red apple", "fox"]
    assert "flag: finland" not in {one.unicode for one in catalogue.subjects}
    assert len(catalogue.drawings) == 3 * len(catalogue.subjects)
    apple = catalogue.drawings[drawing_of(catalogue, "apple")]
    assert apple.extent == (1, 0.5)
    assert min(apple.hue, 1 - apple.hue) < 0.03
    assert apple.hue_share > 0.99
    alpha = read_sprites(data, catalogue, 1)[..., 3] > 128
    assert alpha.shape == (len(catalogue.drawings), 256, 256)
    assert (alpha.any(1).sum(1) > 240).all()


def test_a_missing_package_is_told_with_the_command_that_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (write_packages(tmp_path) / "@iconify-json/noto/icons.json").unlink()
    assert main(["prepare", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "@iconify-json/noto/icons.json cannot be read: No such file or directory." in told
    assert "npm install --ignore-scripts @iconify-json/noto" in told


def test_captions_name_subjects_counts_and_colours_of_the_spec(catalogue: Catalogue) -> None:
    sampler = Sampler(catalogue, seed=3, scenes_each=2)
    kinds = set()
    for _ in range(600):
        spec, captions = sampler.sample(captions=2)
        shown = [catalogue.subjects[catalogue.drawings[one.drawing].subject] for one in spec.sprites]
        names = [[form for name in one.names for form in (name, plural(name)) if form] for one in shown]
        count = len(shown) if len({one.id for one in shown}) == 1 else 0
        colours = [
            ("hue", one.hue) if one.tint == "hue" else (one.tint, 0) for one in spec.sprites if one.tint != "own"
        ]
        kinds.add((len(shown), count, bool(colours)))
        for caption in captions:
            assert all(any(form in caption for form in forms) for forms in names), caption
            assert count < 2 or any(word in caption for word in vocabulary().counts[count]), caption
            for tint, hue in colours:
                word = tint if tint != "hue" else next(k for k, v in vocabulary().subject_hues.items() if v == hue)
                assert word in caption, caption
    assert {(0, 0, False), (1, 1, False), (1, 1, True), (2, 0, False), (2, 2, False), (3, 3, False)} <= kinds


def test_a_thing_is_never_called_by_another_colour_than_it_has(catalogue: Catalogue) -> None:
    """An apple is called a red apple too: a blue one was called a blue red apple."""
    cast = Cast(catalogue, Random(0))
    apple = cast.role(next(one.id for one in catalogue.subjects if "red apple" in one.names))
    recoloured = [cast.recoloured(apple, chance=1) for _ in range(20)]
    assert all("red" not in cast.name(role) for role in recoloured)
    assert "red apple" in {cast.name(apple) for _ in range(20)}
    blue = structs.replace(catalogue.drawings[apple.drawing], hue=0.61)
    drawings = [blue if one.subject == apple.subject else one for one in catalogue.drawings]
    other = Cast(structs.replace(catalogue, drawings=drawings), Random(0))
    assert {other.name(apple) for _ in range(20)} == {"apple"}


def test_captions_name_the_colour_behind_the_subject() -> None:
    random, colours = Random(5), vocabulary().colours
    told = [choose_background(random, scenes_each=1) for _ in range(500)]
    plain = [one for one in told if one.background.pattern == "plain" and one.clauses]
    assert len(plain) > 100
    for one in plain:
        rgb = np.array(one.background.first) * 255
        nearest = min(colours, key=lambda name: float(np.abs(rgb - np.array(colours[name].rgb)).sum()))
        assert all(any(word in clause for word in (colours[nearest].words or [nearest])) for clause in one.clauses)


@pytest.mark.parametrize("name", ["white", "gray", "black"])
def test_a_background_without_a_hue_is_never_tinted(name: str) -> None:
    random = Random(0)
    drawn = [near_colour(random, name) for _ in range(20)]
    assert all(max(one) - min(one) < 0.03 for one in drawn)
    assert len(set(drawn)) > 1, "some are lighter, some darker"


def test_a_sprite_is_where_and_how_the_spec_says(catalogue: Catalogue, composer: Composer) -> None:
    apple = drawing_of(catalogue, "apple")
    specs = [
        Spec(WHITE, (Placed(apple, x=0.25, y=0.75, size=0.4),)),
        Spec(WHITE, (Placed(apple, x=0.25, y=0.75, size=0.4, tint="hue", hue=0.61),)),
        Spec(Background("scene", scene=1), ()),
    ]
    plain, tinted, scene = composer.compose(pack(specs)).numpy()
    rows, columns = np.where(plain[1] < 0.5)
    assert (columns.mean() / 256, rows.mean() / 256) == pytest.approx((0.25, 0.75), abs=0.01)
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == pytest.approx((0.385 * 256, 0.1925 * 256), abs=3)
    middle = (slice(None), 192, 64)
    assert plain[middle].argmax() == 0
    assert tinted[middle].argmax() == 2
    assert np.array_equal((scene * 255).round().transpose(1, 2, 0), draw_scene("space", 0))


def test_later_sprites_cover_earlier_ones(catalogue: Catalogue, composer: Composer) -> None:
    apple, rocket = drawing_of(catalogue, "apple"), drawing_of(catalogue, "rocket")
    both = (Placed(apple, 0.5, 0.5, 0.8), Placed(rocket, 0.5, 0.5, 0.4))
    (picture,) = composer.compose(pack([Spec(WHITE, both)])).numpy()
    assert picture[:, 128, 128].argmax() == 2
    assert picture[:, 128, 40].argmax() == 0


def test_seeds_decide_everything_in_any_process(data: Path) -> None:
    """Other processes hash strings otherwise; no order may come from that."""
    shares = [Share(data, seed=seed, pictures=300, captions=1, scenes_each=4) for seed in (1, 2)]
    here, there = sample_pool(shares, processes=1), sample_pool(shares, processes=2)
    assert np.array_equal(here.specs, there.specs)
    assert here.captions == there.captions
    assert here.captions[:300] != here.captions[300:]


def test_every_scene_that_captions_tell_can_be_drawn() -> None:
    assert set(SCENES) == set(vocabulary().scenes)
    for name in SCENES:
        assert draw_scene(name, 1).shape == (256, 256, 3)
        assert np.array_equal(draw_scene(name, 1), draw_scene(name, 1))
    assert not np.array_equal(draw_scene("city", 1), draw_scene("city", 2))


def test_a_learned_tokenizer_reads_back_what_it_wrote(data: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    share = Share(data, seed=9, pictures=300, captions=1, scenes_each=2)
    captions = sample_pool([share], processes=1).captions
    merges = learn_merges(training_texts(catalogue, (one for own in captions for one in own)), most=500)
    write_tokenizer(merges, tmp_path)
    tokenizer = read_tokenizer(tmp_path)
    ids = encode(tokenizer, [["A Fox wearing a crown on a zyxwvut background"]])
    assert ids.shape == (1, 1, 77)
    assert decode(tokenizer, ids[0, 0]) == "a fox wearing a crown on a zyxwvut background"
    assert (ids == tokenizer.token_to_id("<|endoftext|>")).sum() > 50


def test_captions_are_encoded_as_diffusers_will_encode_them() -> None:
    from transformers import CLIPTokenizer

    caption = "A cat and a dog, on a light-blue background! steampunk  zyx'w"
    theirs = CLIPTokenizer.from_pretrained(TOKENIZER)(caption, padding="max_length", max_length=77).input_ids
    assert encode(read_tokenizer(TOKENIZER), [[caption]])[0, 0].tolist() == theirs


def test_edges_lie_where_colours_change() -> None:
    picture = torch.zeros(2, 3, 64, 64)
    picture[:, :, 16:48, 16:48] = 1
    thin, thick = edge_maps(picture, torch.full((2,), 0.1), torch.full((2,), 0.3), torch.tensor([0, 2]))
    rows, columns = np.where(thin[0].numpy() > 0)
    from_edge = (
        np.minimum(np.abs(rows - 15.5), np.abs(rows - 47.5)),
        np.minimum(np.abs(columns - 15.5), np.abs(columns - 47.5)),
    )
    assert len(rows) > 100
    assert (np.minimum(*from_edge) <= 1).all()
    assert thick.sum() > 3 * thin.sum()
    lines = torch.stack([thin[0], thick[0]])
    assert torch.equal(unpack_lines(pack_lines(lines)), lines.byte())
