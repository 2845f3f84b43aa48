"""A model is known from its folder alone; what is wrong with one is told before anything is loaded."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from tui.library import models
from tui.library.models import BUNDLED, find_models, read_model
from tui.library.paths import bundled_models
from tui.protocol.problem import LatenttyError

SOURCE = bundled_models() / BUNDLED


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SOURCE, tmp_path / "models" / "mine"))


def test_the_bundled_model_is_there_with_what_suits_it() -> None:
    (info,) = find_models([])
    assert (info.name, info.family, info.bundled) == (BUNDLED, "stable-diffusion", True)
    assert (info.width, info.height, info.guidance_scale) == (256, 256, 5.0)
    assert info.scheduler in info.schedulers
    assert 30e6 < info.bytes < 45e6


def test_models_in_a_folder_are_found_and_equal_names_are_told_apart(model: Path, tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "more" / "mine")
    names = [info.name for info in find_models([model.parent, tmp_path / "more"])]
    assert names == [str(tmp_path / "more" / "mine"), "mine", BUNDLED]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model_index.json", '{"_class_name": ["LTXPipeline"]}'),
        ("model_index.json", '{"_class_name": "\\ud800", "vae": ["diffusers", "AutoencoderKL"]}'),
        ("model_index.json", '{"_class_name": 1e999}'),
        ("unet/config.json", '{"sample_size": 9223372036854775807, "in_channels": 4}'),
        ("vae/config.json", '{"block_out_channels": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]}'),
        ("scheduler/scheduler_config.json", '{"_class_name": {}}'),
    ],
)
def test_a_configuration_of_nonsense_spoils_no_message_about_the_model(model: Path, name: str, told: str) -> None:
    (model / name).write_text(told)
    msgspec.msgpack.encode(find_models([model.parent]))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"_class_name": "LTXPipeline", "vae": ["diffusers", "AutoencoderKLLTXVideo"]}, "pictures, not films"),
        ({"_class_name": "StableAudioPipeline", "vae": ["diffusers", "AutoencoderOobleck"]}, "pictures, not sound"),
        ({"_class_name": "ErnieImagePipeline"}, "its pipeline is ErnieImagePipeline, and .* none of its kind"),
        ({}, "names no pipeline"),
    ],
)
def test_a_model_that_is_not_drawn_with_says_what_it_is(model: Path, told: dict[str, object], why: str) -> None:
    (model / "model_index.json").write_text(json.dumps(told))
    with pytest.raises(LatenttyError, match=why):
        read_model(model)


def damage(model: Path, how: str) -> None:
    unet = model / "unet" / "diffusion_pytorch_model.safetensors"
    index = model / "model_index.json"
    match how:
        case "gone":
            shutil.rmtree(model)
        case "no index":
            index.unlink()
        case "index is a list":
            index.write_text("[]")
        case "index is cut":
            index.write_text(index.read_text()[:40])
        case "unknown pipeline":
            index.write_text(json.dumps({"_class_name": "Nonesuch"}))
        case "weights cut":
            unet.write_bytes(unet.read_bytes()[:-100])
        case "weights gone":
            unet.unlink()
        case "a pickle":
            unet.rename(unet.with_suffix(".bin"))
        case "component gone":
            shutil.rmtree(model / "vae")
        case "defaults":
            (model / "latentty.toml").write_text("steps = 'many'")


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("gone", "model_missing", "not there"),
        ("no index", "model_damaged", "model_index.json"),
        ("index is a list", "model_damaged", "model_index.json"),
        ("index is cut", "model_damaged", "JSON"),
        ("unknown pipeline", "model_damaged", "Nonesuch"),
        ("weights cut", "model_damaged", "unet"),
        ("weights gone", "model_damaged", "unet"),
        ("a pickle", "model_damaged", "pickle"),
        ("component gone", "model_damaged", "vae"),
        ("defaults", "model_damaged", "latentty.toml"),
    ],
)
def test_what_is_wrong_is_named_with_a_hint(model: Path, how: str, code: str, told: str) -> None:
    damage(model, how)
    with pytest.raises(LatenttyError) as caught:
        read_model(model)
    assert caught.value.problem.code == code
    assert told in caught.value.problem.cause
    assert caught.value.problem.hint


def test_a_damaged_model_is_listed_with_its_problem(model: Path) -> None:
    damage(model, "weights cut")
    info = next(info for info in find_models([model.parent]) if info.name == "mine")
    assert info.problem is not None


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("bitsandbytes", r"bitsandbytes is not installed.*latentty\[bitsandbytes\]"),
        ("torchao", r"latentty\[torchao\]"),
        ("quip", "not supported"),
    ],
)
def test_a_model_that_was_saved_quantised_says_what_it_needs(
    tmp_path: Path, method: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shutil.copytree(bundled_models() / BUNDLED, tmp_path / "model")
    config = json.loads((model / "unet" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "load_in_4bit": True}
    (model / "unet" / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    with pytest.raises(LatenttyError, match=told):
        read_model(model)
