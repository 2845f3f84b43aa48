"""Control images: each annotator works with what is there, or says exactly which model it wants."""

from pathlib import Path

import numpy
import pytest
import transformers
from PIL import Image, ImageDraw

from tui.library.annotators import NEEDS, find_annotators
from tui.protocol.job import ANNOTATORS, Annotator
from tui.protocol.problem import LatenttyError
from tui.worker.annotators.annotate import DRAWN, SEEN, annotate


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = Image.new("RGB", (96, 64), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 70, 55), fill="navy", outline="black", width=3)
    image.save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_every_annotator_is_listed_and_can_be_asked_for() -> None:
    assert {info.name for info in find_annotators([])} == set(ANNOTATORS) == DRAWN.keys() | SEEN.keys()
    assert SEEN.keys() == NEEDS.keys()


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_annotators_need_nothing(name: Annotator, picture: Path, tmp_path: Path) -> None:
    made = annotate(str(picture), name, tmp_path / "cache", [])
    written = made.stat().st_mtime_ns
    with Image.open(made) as image, Image.open(picture) as source:
        assert image.size == source.size
        same = numpy.array_equal(numpy.asarray(image), numpy.asarray(source.convert("RGB")))
        assert same == (name == "none")
        assert numpy.asarray(image).std() > 5, "it shows something"
    picture.rename(tmp_path / "moved.png")
    again = annotate(str(tmp_path / "moved.png"), name, tmp_path / "cache", [])
    assert (again, again.stat().st_mtime_ns) == (made, written), "the same content is annotated once"


@pytest.mark.parametrize("name", SEEN)
def test_without_its_model_an_annotator_says_which_it_wants(name: Annotator, picture: Path, tmp_path: Path) -> None:
    (told,) = [info.problem for info in find_annotators([tmp_path]) if info.name == name]
    with pytest.raises(LatenttyError) as error:
        annotate(str(picture), name, tmp_path / "cache", [tmp_path])
    assert error.value.problem == told
    assert str(tmp_path) in told.hint
    assert "safetensors" in told.hint


@pytest.fixture(scope="module")
def seers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models with random weights, of each kind that annotators look through."""
    folder = tmp_path_factory.mktemp("seers")
    vit = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    dino = transformers.Dinov2Config(
        **vit, image_size=56, patch_size=14, out_indices=[1, 2, 3, 4], reshape_hidden_states=False
    )
    depth = transformers.DepthAnythingConfig(
        backbone_config=dino,
        neck_hidden_sizes=[8, 8, 8, 8],
        reassemble_hidden_size=16,
        fusion_hidden_size=8,
        head_hidden_size=8,
    )
    yolos = transformers.YolosConfig(**vit, image_size=[64, 64], patch_size=16, num_detection_tokens=5, num_labels=1)
    body = transformers.VitPoseBackboneConfig(**vit, image_size=[64, 48], patch_size=[16, 16], out_indices=[4])
    models = {
        "depth": (
            transformers.DepthAnythingForDepthEstimation(depth),
            transformers.DPTImageProcessor(size={"height": 56, "width": 56}, ensure_multiple_of=14),
        ),
        "segments": (
            transformers.SegformerForSemanticSegmentation(
                transformers.SegformerConfig(
                    num_labels=150, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1]
                )
            ),
            transformers.SegformerImageProcessor(size={"height": 64, "width": 64}),
        ),
        "people": (
            transformers.YolosForObjectDetection(yolos),
            transformers.YolosImageProcessor(size={"height": 64, "width": 64}),
        ),
        "pose": (
            transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(backbone_config=body, num_labels=17)),
            transformers.VitPoseImageProcessor(size={"height": 64, "width": 48}),
        ),
    }
    for name, (model, processor) in models.items():
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder


@pytest.mark.parametrize("name", SEEN)
def test_with_its_model_an_annotator_works(name: Annotator, picture: Path, seers: Path, tmp_path: Path) -> None:
    assert {info.problem for info in find_annotators([seers])} == {None}
    with Image.open(annotate(str(picture), name, tmp_path / "cache", [seers])) as image:
        assert (image.size, image.mode) == ((96, 64), "RGB")


def test_without_its_package_an_annotator_says_how_to_get_it(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.library.annotators.find_spec", lambda _: None)
    with pytest.raises(LatenttyError, match=r"scipy.*latentty\[pose\]"):
        annotate(str(picture), "pose", tmp_path / "cache", [])
