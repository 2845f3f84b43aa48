"""The tiny models are what they say: diffusers itself loads every one, and draws with every class that it serves.

No test here is about this program; the other tests of the worker stand on these models.
"""

import functools
import importlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import numpy
import pytest
import torch
import transformers
from PIL import Image, ImageDraw
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tests.worker.tiny_models import CONTROLNETS, MODELS, TinyModels
from tui.library.safetensors_header import read_header

SIDE: Final = 64
STEPS: Final = 2

LARGEST: Final = 2_000_000
"""Bytes of a model's folder."""


def picture() -> Image.Image:
    """A blue square on red."""
    image = Image.new("RGB", (SIDE, SIDE), (200, 60, 40))
    ImageDraw.Draw(image).rectangle((16, 16, 32, 32), fill=(20, 90, 200))
    return image


def mask() -> Image.Image:
    """The left half."""
    image = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).rectangle((0, 0, SIDE // 2, SIDE), fill=255)
    return image


def outline() -> Image.Image:
    """A white ring on black, as an edge detector leaves it."""
    image = Image.new("RGB", (SIDE, SIDE))
    ImageDraw.Draw(image).ellipse((8, 8, SIDE - 8, SIDE - 8), outline=(255, 255, 255))
    return image


@dataclass(frozen=True)
class Case:
    """One class, on one model, with what it must be given."""

    model: str
    pipeline: str
    arguments: dict[str, Any]
    controlnet: str = ""

    def __str__(self) -> str:
        return "-".join(one for one in (self.pipeline, self.model, self.controlnet) if one)


SIZE: Final = {"width": SIDE, "height": SIDE}
GUIDED: Final = {"guidance_scale": 3.0, "negative_prompt": "ugly"}
TOLD: Final = {"guidance_scale": 3.0}
"""For models that are told a number instead of being given a negative prompt."""
TRULY_GUIDED: Final = {"true_cfg_scale": 3.0, "negative_prompt": "ugly"}
PICTURE: Final = {"image": picture()}
CHANGED: Final = PICTURE | {"strength": 0.5}
MASKED: Final = PICTURE | {"mask_image": mask()}
FILLED: Final = CHANGED | MASKED
OUTLINE: Final = {"control_image": outline()}
UNION: Final = {"control_image": [outline()], "control_mode": [3]}
FILLED_OUT: Final = {"control_image": picture(), "control_mask": mask()}
AS_ASKED: Final = {"use_resolution_binning": False}
"""Without it, the size is one of a list made for a megapixel, and the picture is scaled afterwards."""
SMALL_REFERENCE: Final = {"_auto_resize": False, "max_area": SIDE * SIDE}
"""Without it, the picture to edit is scaled to a megapixel."""

CASES: Final = [
    Case("sd", "StableDiffusionPipeline", SIZE | GUIDED),
    Case("sd", "StableDiffusionImg2ImgPipeline", GUIDED | CHANGED),
    Case("sd", "StableDiffusionInpaintPipeline", SIZE | GUIDED | FILLED),
    Case("sd", "StableDiffusionControlNetPipeline", SIZE | GUIDED | {"image": outline()}, "sd-controlnet"),
    Case("sd", "StableDiffusionControlNetImg2ImgPipeline", SIZE | GUIDED | CHANGED | OUTLINE, "sd-controlnet"),
    Case("sd", "StableDiffusionControlNetInpaintPipeline", SIZE | GUIDED | FILLED | OUTLINE, "sd-controlnet"),
    Case("sd-inpainting", "StableDiffusionInpaintPipeline", SIZE | GUIDED | MASKED),
    Case(
        "sd-inpainting", "StableDiffusionControlNetInpaintPipeline", SIZE | GUIDED | MASKED | OUTLINE, "sd-controlnet"
    ),
    Case("sd-twin", "StableDiffusionPipeline", SIZE | GUIDED),
    Case("sd-half", "StableDiffusionPipeline", SIZE | GUIDED),
    Case("sd-consistency", "LatentConsistencyModelPipeline", SIZE | TOLD),
    Case("sdxl", "StableDiffusionXLPipeline", SIZE | GUIDED),
    Case("sdxl", "StableDiffusionXLImg2ImgPipeline", GUIDED | CHANGED),
    Case("sdxl", "StableDiffusionXLInpaintPipeline", SIZE | GUIDED | FILLED),
    Case("sdxl", "StableDiffusionXLControlNetPipeline", SIZE | GUIDED | {"image": outline()}, "sdxl-controlnet"),
    Case("sdxl", "StableDiffusionXLControlNetImg2ImgPipeline", SIZE | GUIDED | CHANGED | OUTLINE, "sdxl-controlnet"),
    Case("sdxl", "StableDiffusionXLControlNetInpaintPipeline", SIZE | GUIDED | FILLED | OUTLINE, "sdxl-controlnet"),
    Case("sdxl", "StableDiffusionXLControlNetUnionPipeline", SIZE | GUIDED | UNION, "sdxl-controlnet-union"),
    Case(
        "sdxl",
        "StableDiffusionXLControlNetUnionImg2ImgPipeline",
        SIZE | GUIDED | CHANGED | UNION,
        "sdxl-controlnet-union",
    ),
    Case(
        "sdxl",
        "StableDiffusionXLControlNetUnionInpaintPipeline",
        SIZE | GUIDED | FILLED | UNION,
        "sdxl-controlnet-union",
    ),
    Case("sdxl-refiner", "StableDiffusionXLImg2ImgPipeline", GUIDED | CHANGED),
    Case("sd3", "StableDiffusion3Pipeline", SIZE | GUIDED),
    Case("sd3", "StableDiffusion3Img2ImgPipeline", SIZE | GUIDED | CHANGED),
    Case("sd3", "StableDiffusion3InpaintPipeline", SIZE | GUIDED | FILLED),
    Case("sd3", "StableDiffusion3ControlNetPipeline", SIZE | GUIDED | OUTLINE, "sd3-controlnet"),
    Case(
        "sd3",
        "StableDiffusion3ControlNetInpaintingPipeline",
        SIZE | GUIDED | FILLED_OUT,
        "sd3-controlnet-inpainting",
    ),
    Case("flux", "FluxPipeline", SIZE | TOLD),
    Case("flux", "FluxPipeline", SIZE | TOLD | TRULY_GUIDED),
    Case("flux", "FluxImg2ImgPipeline", SIZE | TOLD | CHANGED),
    Case("flux", "FluxInpaintPipeline", SIZE | TOLD | FILLED),
    Case("flux", "FluxControlNetPipeline", SIZE | TOLD | OUTLINE, "flux-controlnet"),
    Case("flux", "FluxControlNetImg2ImgPipeline", SIZE | TOLD | CHANGED | OUTLINE, "flux-controlnet"),
    Case("flux", "FluxControlNetInpaintPipeline", SIZE | TOLD | FILLED | OUTLINE, "flux-controlnet"),
    Case("flux", "FluxControlNetPipeline", SIZE | TOLD | OUTLINE | {"control_mode": 1}, "flux-controlnet-union"),
    Case("flux-schnell", "FluxPipeline", SIZE),
    Case("flux-schnell", "FluxImg2ImgPipeline", SIZE | CHANGED),
    Case("flux-schnell", "FluxInpaintPipeline", SIZE | FILLED),
    Case("flux-fill", "FluxFillPipeline", SIZE | TOLD | MASKED),
    Case("flux-kontext", "FluxKontextPipeline", SIZE | TOLD | PICTURE | SMALL_REFERENCE),
    Case("flux-kontext", "FluxKontextInpaintPipeline", SIZE | TOLD | FILLED | SMALL_REFERENCE),
    Case("flux2", "Flux2Pipeline", SIZE | TOLD),
    Case("flux2", "Flux2Pipeline", SIZE | TOLD | PICTURE),
    Case("flux2-klein", "Flux2KleinPipeline", SIZE),
    Case("flux2-klein", "Flux2KleinPipeline", SIZE | PICTURE),
    Case("flux2-klein", "Flux2KleinInpaintPipeline", SIZE | FILLED),
    Case("flux2-klein-base", "Flux2KleinPipeline", SIZE | TOLD),
    Case("qwen-image", "QwenImagePipeline", SIZE | TRULY_GUIDED),
    Case("qwen-image", "QwenImageImg2ImgPipeline", SIZE | TRULY_GUIDED | CHANGED),
    Case("qwen-image", "QwenImageInpaintPipeline", SIZE | TRULY_GUIDED | FILLED),
    Case("qwen-image", "QwenImageControlNetPipeline", SIZE | TRULY_GUIDED | OUTLINE, "qwen-image-controlnet"),
    Case(
        "qwen-image",
        "QwenImageControlNetInpaintPipeline",
        SIZE | TRULY_GUIDED | FILLED_OUT,
        "qwen-image-controlnet-inpainting",
    ),
    Case("qwen-image-edit", "QwenImageEditPipeline", SIZE | TRULY_GUIDED | PICTURE),
    Case("qwen-image-edit-plus", "QwenImageEditPlusPipeline", SIZE | TRULY_GUIDED | PICTURE),
    Case("qwen-image-2.1", "QwenImage21Pipeline", SIZE | TRULY_GUIDED),
    Case("z-image", "ZImagePipeline", SIZE | GUIDED),
    Case("z-image", "ZImageImg2ImgPipeline", SIZE | GUIDED | CHANGED),
    Case("z-image", "ZImageInpaintPipeline", SIZE | GUIDED | FILLED),
    Case("z-image", "ZImageControlNetPipeline", SIZE | GUIDED | OUTLINE, "z-image-controlnet"),
    Case("z-image", "ZImageControlNetPipeline", SIZE | GUIDED | OUTLINE, "z-image-controlnet-inpainting"),
    Case(
        "z-image", "ZImageControlNetInpaintPipeline", SIZE | GUIDED | MASKED | OUTLINE, "z-image-controlnet-inpainting"
    ),
    Case("chroma", "ChromaPipeline", SIZE | GUIDED),
    Case("chroma", "ChromaImg2ImgPipeline", SIZE | GUIDED | CHANGED),
    Case("chroma", "ChromaInpaintPipeline", SIZE | GUIDED | FILLED),
    Case("pixart-sigma", "PixArtSigmaPipeline", SIZE | GUIDED | AS_ASKED | {"clean_caption": False}),
    Case("sana", "SanaPipeline", SIZE | GUIDED | AS_ASKED),
    Case("sana", "SanaControlNetPipeline", SIZE | GUIDED | AS_ASKED | OUTLINE, "sana-controlnet"),
    Case("sana-sprint", "SanaSprintPipeline", SIZE | TOLD | AS_ASKED),
    Case("sana-sprint", "SanaSprintImg2ImgPipeline", SIZE | TOLD | AS_ASKED | CHANGED),
    Case("lumina2", "Lumina2Pipeline", SIZE | GUIDED),
    Case("auraflow", "AuraFlowPipeline", SIZE | GUIDED),
    Case("cogview4", "CogView4Pipeline", SIZE | GUIDED),
    Case("krea2", "Krea2Pipeline", SIZE | GUIDED),
]


def pictures_and_text(name: str) -> Any:
    """One of Qwen's processors without the part for films, which needs torchvision."""
    parts = classmethod(lambda cls: ["image_processor", "tokenizer"])
    return type("PicturesAndText", (getattr(transformers, name),), {"get_attributes": parts})


@pytest.fixture(scope="module")
def loaded(tiny_models: TinyModels) -> Callable[[str], Any]:
    """The pipeline of a model's own class, loaded once."""

    @functools.cache
    def load(model: str) -> Any:
        return load_pipeline(tiny_models[model])

    return load


def load_pipeline(folder: Path) -> Any:
    """The model in `folder`, as diffusers loads it."""
    index = read_index(folder)
    if index["_class_name"] == "Flux2Pipeline":
        return assemble(folder, index)
    given = {}
    if "processor" in index:
        given["processor"] = pictures_and_text(index["processor"][1]).from_pretrained(folder / "processor")
    cls = getattr(diffusers, index["_class_name"])
    return cls.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, **given)


def assemble(folder: Path, index: dict[str, Any]) -> Any:
    """FLUX.2 [dev]: `from_pretrained` wants its processor's class, which needs torchvision; its tokenizer will do."""
    parts = {name: entry for name, entry in index.items() if isinstance(entry, list)}
    classes = {name: getattr(importlib.import_module(library), cls) for name, (library, cls) in parts.items()}
    classes["tokenizer"] = PreTrainedTokenizerFast
    return diffusers.Flux2Pipeline(**{name: cls.from_pretrained(folder / name) for name, cls in classes.items()})


def read_index(folder: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((folder / "model_index.json").read_text())
    return index


def load_controlnet(folder: Path) -> Any:
    """The ControlNet in `folder`, as diffusers loads it."""
    class_name = json.loads((folder / "config.json").read_text())["_class_name"]
    return getattr(diffusers, class_name).from_pretrained(folder, use_safetensors=True, local_files_only=True)


def derive(class_name: str, base: Any, **changes: Any) -> Any:
    """A pipeline of another class around the parts of `base`."""
    cls = getattr(diffusers, class_name)
    names = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
    given = {name: base.components[name] for name in names if name in base.components}
    given |= {name: base.config[name] for name in names if name not in base.components and name in base.config}
    given["scheduler"] = type(base.scheduler).from_config(base.scheduler.config)
    pipeline = cls(**(given | changes))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: Any, case: Case, seed: int) -> numpy.ndarray:
    """A picture, from 0 to 1."""
    images = pipeline(
        prompt="a red apple",
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
        **case.arguments,
    ).images
    return numpy.asarray(images[0])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_class_draws(tiny_models: TinyModels, loaded: Callable[[str], Any], case: Case) -> None:
    base = loaded(case.model)
    changes = {"controlnet": load_controlnet(tiny_models[case.controlnet])} if case.controlnet else {}
    pipeline = derive(case.pipeline, base, **changes)
    if case.pipeline == "ChromaInpaintPipeline":
        # diffusers 0.42 asks the transformer for a setting that no Chroma has
        pipeline.transformer.register_to_config(guidance_embeds=False)
    first, second = draw(pipeline, case, seed=1), draw(pipeline, case, seed=2)
    assert first.shape == (SIDE, SIDE, 4 if case.model == "qwen-image-2.1" else 3)
    assert numpy.isfinite(first).all()
    assert first.std() > 0.01
    assert numpy.abs(first - second).mean() > 0.001


def test_every_model_and_controlnet_is_drawn_with() -> None:
    assert {case.model for case in CASES} == set(MODELS)
    assert {case.controlnet for case in CASES} - {""} == set(CONTROLNETS)


@pytest.mark.parametrize("name", [*MODELS, *CONTROLNETS])
def test_every_folder_is_small_and_holds_no_pickle(tiny_models: TinyModels, name: str) -> None:
    files = [file for file in tiny_models[name].rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < LARGEST
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".txt", ".jinja"}


@pytest.mark.parametrize("model", MODELS)
def test_no_weight_is_missing_and_every_word_has_a_row(loaded: Callable[[str], Any], model: str) -> None:
    parts = loaded(model).components
    weights = [
        tensor for part in parts.values() if isinstance(part, torch.nn.Module) for tensor in part.state_dict().values()
    ]
    assert not any(tensor.is_meta for tensor in weights)
    assert all(torch.isfinite(tensor).all() for tensor in weights)
    for name, part in parts.items():
        if isinstance(part, PreTrainedTokenizerBase):
            encoder = parts[name.replace("tokenizer", "text_encoder")]
            assert len(part) == encoder.get_input_embeddings().weight.shape[0]


def test_a_model_is_the_same_wherever_it_is_written(tiny_models: TinyModels, tmp_path: Path) -> None:
    for name in ("sd", "qwen-image-edit"):
        assert contents(MODELS[name](tmp_path / name)) == contents(tiny_models[name])


def test_a_twin_differs_in_its_unet_alone(tiny_models: TinyModels) -> None:
    one, other = contents(tiny_models["sd"]), contents(tiny_models["sd-twin"])
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] != other[name]} == {"unet/diffusion_pytorch_model.safetensors"}


def test_half_is_half(tiny_models: TinyModels) -> None:
    for file in tiny_models["sd-half"].rglob("*.safetensors"):
        assert read_header(file).dtype == "F16"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
